/**
 * Envelope for credentials. Each secret is sealed by a data key of its own, and the data key by the master key
 * (AES-256-GCM both), so that rotation re-wraps 32 bytes and a master key never encrypts much data.
 * Bytes: version 1 · length of key id · key id · nonce 12 · wrapped data key 32 · tag 16 · nonce 12 · text · tag 16.
 * Tenant, object and field are authenticated in both layers: bytes copied to another row do not open.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { PenstockError } from '../domain/errors.ts';
import type { SecretBox, SecretContext } from '../ports/secret-box.ts';

/** A master key: 32 bytes, named so that what it sealed is found again. */
interface SealingKey {
  readonly id: string;
  readonly key: Buffer;
}

const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;
const wrappedBytes = nonceBytes + keyBytes + tagBytes;

/** The first key seals; every key opens what it sealed. */
export function createSecretBox(keys: readonly [SealingKey, ...SealingKey[]]): SecretBox {
  const [current] = keys;
  return {
    seal(plain, context) {
      const header = headerOf(current.id);
      const aad = aadOf(header, context);
      const dataKey = randomBytes(keyBytes);
      return Buffer.concat([
        header,
        encrypt(current.key, dataKey, aad),
        encrypt(dataKey, Buffer.from(plain, 'utf8'), aad),
      ]);
    },
    open(sealed, context) {
      const keyId = keyIdOf(sealed);
      const key = keys.find(({ id }) => id === keyId);
      if (!key)
        throw new PenstockError(
          'CONFIG',
          `the master key "${keyId ?? '?'}" that sealed ${context.field} of ${context.object} is not configured; add it to PENSTOCK_MASTER_KEY`,
        );
      const header = headerOf(key.id);
      const aad = aadOf(header, context);
      const body = sealed.subarray(header.length);
      try {
        const dataKey = decrypt(key.key, body.subarray(0, wrappedBytes), aad);
        return decrypt(dataKey, body.subarray(wrappedBytes), aad).toString('utf8');
      } catch (cause) {
        throw new PenstockError(
          'CONFIG',
          `the sealed ${context.field} of ${context.object} does not open with the master key "${key.id}": the key was changed under its id, or the bytes belong elsewhere`,
          { cause },
        );
      }
    },
  };
}

/** Id of the master key that sealed the bytes; undefined when they are no envelope of this version. */
export function keyIdOf(sealed: Buffer): string | undefined {
  const length = sealed[1] ?? 0;
  if (sealed[0] !== version || sealed.length < 2 + length + wrappedBytes + nonceBytes + tagBytes)
    return undefined;
  return sealed.subarray(2, 2 + length).toString('utf8');
}

function headerOf(keyId: string): Buffer {
  const id = Buffer.from(keyId, 'utf8');
  return Buffer.concat([Buffer.from([version, id.length]), id]);
}

/** As JSON, so that no two contexts give the same bytes. */
function aadOf(header: Buffer, { tenant, object, field }: SecretContext): Buffer {
  return Buffer.concat([header, Buffer.from(JSON.stringify([tenant, object, field]), 'utf8')]);
}

function encrypt(key: Buffer, plain: Buffer, aad: Buffer): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(aad);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, bytes: Buffer, aad: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(aad);
  decipher.setAuthTag(bytes.subarray(-tagBytes));
  return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
}
