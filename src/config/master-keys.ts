/** Master keys: `<key id>:<base64 of 32 bytes>`, several comma-separated while rotating; the first one seals. */

export interface MasterKey {
  /** Stored beside what it sealed, so that it is found again. */
  readonly id: string;
  /** 32 bytes. */
  readonly key: Buffer;
}

const shape = 'must be <key id>:<base64 of 32 bytes>, several comma-separated (openssl rand -base64 32)';

/** At least one key, ids unique. The message of a refusal never quotes the text. */
export function parseMasterKeys(text: string): readonly [MasterKey, ...MasterKey[]] {
  const keys = text.split(',').map((part): MasterKey => {
    const match = /^([A-Za-z0-9_.-]{1,32}):([A-Za-z0-9+/_-]{43}=?)$/.exec(part.trim());
    if (!match) throw new Error(shape);
    const key = Buffer.from(match[2] as string, 'base64');
    if (key.length !== 32) throw new Error(shape);
    return { id: match[1] as string, key };
  });
  if (new Set(keys.map((key) => key.id)).size < keys.length)
    throw new Error('must not hold the same key id twice');
  return keys as [MasterKey, ...MasterKey[]];
}
