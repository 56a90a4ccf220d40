/** Payloads in Temporal's JSON, through our codec (src/ports/payload-translator.ts). */
import type { Payload } from '@temporalio/common';
import { PenstockError } from '../../domain/errors.ts';
import type { JsonPayload, PayloadTranslator } from '../../ports/payload-translator.ts';
import { createPayloadCodec, type PayloadKeys } from './payload-codec.ts';

/** Without keys everything passes through. */
export function createPayloadTranslator(keys: PayloadKeys | undefined): PayloadTranslator {
  const codec = keys && createPayloadCodec(keys);
  const translate =
    (how: 'encode' | 'decode'): PayloadTranslator['decode'] =>
    async (payloads) => {
      if (!codec) return [...payloads];
      try {
        return (await codec[how](payloads.map(fromJson))).map(toJson);
      } catch (cause) {
        throw new PenstockError('BAD_REQUEST', (cause as Error).message, { pointer: '/payloads', cause });
      }
    };
  return { decode: translate('decode'), encode: translate('encode') };
}

const fromJson = ({ metadata = {}, data }: JsonPayload): Payload => ({
  metadata: mapValues(metadata, (value) => Buffer.from(value, 'base64')),
  ...(data !== undefined && { data: Buffer.from(data, 'base64') }),
});

const toJson = ({ metadata, data }: Payload): JsonPayload => ({
  metadata: mapValues(metadata ?? {}, (value) => Buffer.from(value).toString('base64')),
  ...(data && { data: Buffer.from(data).toString('base64') }),
});

const mapValues = <A, B>(members: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(members).map(([name, value]) => [name, map(value)]));
