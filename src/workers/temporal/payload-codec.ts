/**
 * Payloads as Temporal keeps them when a key is configured: each sealed whole by AES-256-GCM, with the id of the key in its
 * metadata, so that keys can be rotated: the first encrypts, all decrypt. What we did not encrypt passes through.
 * Bytes: nonce 12 · sealed payload · tag 16.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import type { MasterKey } from '../../config/master-keys.ts';
import { PenstockError } from '../../domain/errors.ts';

const encoding = 'binary/penstock-aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
const wire = proto.temporal.api.common.v1.Payload;

export type PayloadKeys = readonly [MasterKey, ...MasterKey[]];

/** @throws PenstockError CONFIG, when decoding what a key has encrypted that is not among these */
export function createPayloadCodec(keys: PayloadKeys): PayloadCodec {
  return {
    encode: async (payloads) => payloads.map((payload) => seal(payload, keys[0])),
    decode: async (payloads) => payloads.map((payload) => (isOurs(payload) ? open(payload, keys) : payload)),
  };
}

/** For clients: what they send is encrypted, and so are failures that they read. */
export const clientConverter = (keys: PayloadKeys | undefined): { dataConverter?: DataConverter } =>
  keys ? { dataConverter: { payloadCodecs: [createPayloadCodec(keys)] } } : {};

/** For workers, whose failures have their messages and stack traces in payloads, too. */
export const workerConverter = (keys: PayloadKeys | undefined): { dataConverter?: DataConverter } =>
  keys ? { dataConverter: { payloadCodecs: [createPayloadCodec(keys)], failureConverterPath } } : {};

/** The SDK loads it by path, into activities and into the bundle alike. */
const failureConverterPath = fileURLToPath(
  new URL('../../../dist/workers/temporal/failure-converter.js', import.meta.url),
);

const textOf = (bytes: Uint8Array | undefined | null): string => Buffer.from(bytes ?? []).toString('utf8');

const isOurs = ({ metadata }: Payload): boolean => textOf(metadata?.['encoding']) === encoding;

/** The key's id is authenticated, as is that it was us. */
const aadOf = (keyId: string): Buffer => Buffer.from(`${encoding} ${keyId}`, 'utf8');

function seal(payload: Payload, { id, key }: MasterKey): Payload {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(aadOf(id));
  const sealed = [cipher.update(wire.encode(payload).finish()), cipher.final()];
  return {
    metadata: { encoding: Buffer.from(encoding), 'encryption-key-id': Buffer.from(id) },
    data: Buffer.concat([nonce, ...sealed, cipher.getAuthTag()]),
  };
}

function open({ metadata, data }: Payload, keys: PayloadKeys): Payload {
  const id = textOf(metadata?.['encryption-key-id']);
  const found = keys.find((key) => key.id === id);
  if (!found)
    throw new PenstockError(
      'CONFIG',
      `a payload was encrypted with the key "${id}", which is not configured; add it to PENSTOCK_TEMPORAL_PAYLOAD_KEY`,
    );
  const bytes = Buffer.from(data ?? []);
  try {
    const decipher = createDecipheriv('aes-256-gcm', found.key, bytes.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(aadOf(id));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    const plain = [decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()];
    return wire.decode(Buffer.concat(plain));
  } catch (cause) {
    throw new PenstockError('CONFIG', `a payload does not open with the key "${id}": it was changed`, {
      cause,
    });
  }
}
