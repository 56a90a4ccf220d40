/** A payload as Temporal's JSON has it: everything in base64. */
export interface JsonPayload {
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly data?: string | undefined;
}

/** For people who look at histories. What we did not encrypt passes through. */
export interface PayloadTranslator {
  /** @throws PenstockError BAD_REQUEST when a payload does not open */
  decode(payloads: readonly JsonPayload[]): Promise<JsonPayload[]>;
  encode(payloads: readonly JsonPayload[]): Promise<JsonPayload[]>;
}
