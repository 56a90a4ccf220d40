/** What a sealed secret is bound to: opening it for another tenant, object or field fails. */
export interface SecretContext {
  /** Tenant id, or `operator` for what belongs to the operator. */
  tenant: string;
  object: string;
  field: string;
}

/** Seals credentials for storage (AES-256-GCM, with the key's id in the sealed bytes so that keys can rotate). */
export interface SecretBox {
  /** Seals text for one place; twice the same text gives different bytes. */
  seal(plain: string, context: SecretContext): Buffer;
  /** Opens what `seal` made for the same context; throws CONFIG when the key is unknown or the bytes do not belong here. */
  open(sealed: Buffer, context: SecretContext): string;
}
