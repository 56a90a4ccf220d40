/** How this installation reaches its Temporal: where, as whom, and with which keys for payloads. */
import type { TLSConfig } from '@temporalio/client';
import type { Config } from '../../config/load-config.ts';
import type { OptionName } from '../../config/options.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { PayloadKeys } from './payload-codec.ts';

export interface TemporalAccess {
  /** host:port of the frontend. */
  readonly address: string;
  readonly namespace: string;
  readonly tls?: TLSConfig | boolean;
  readonly apiKey?: string;
  readonly payloadKeys?: PayloadKeys;
}

export type TemporalConfig = Pick<Config, Extract<OptionName, `temporal${string}`>>;

/** CONFIG for a certificate without its key, and for an API key that would travel in plain text. */
export function temporalAccessOf(config: TemporalConfig): TemporalAccess {
  const { temporalTls, temporalTlsCa, temporalTlsCert, temporalTlsKey, temporalApiKey: apiKey } = config;
  if ((temporalTlsCert === undefined) !== (temporalTlsKey === undefined))
    throw new PenstockError('CONFIG', 'temporalTlsCert and temporalTlsKey are given together, or not at all');
  const isWanted =
    temporalTls === 'on' ||
    (temporalTls === 'auto' && [temporalTlsCa, temporalTlsCert, apiKey].some((one) => one !== undefined));
  if (apiKey !== undefined && !isWanted)
    throw new PenstockError('CONFIG', 'temporalApiKey is not sent without TLS: leave temporalTls at auto');
  return {
    address: config.temporalAddress,
    namespace: config.temporalNamespace,
    ...(isWanted && {
      tls: {
        ...(temporalTlsCa && { serverRootCACertificate: temporalTlsCa }),
        ...(temporalTlsCert &&
          temporalTlsKey && { clientCertPair: { crt: temporalTlsCert, key: temporalTlsKey } }),
      },
    }),
    ...(apiKey !== undefined && { apiKey }),
    ...(config.temporalPayloadKey && { payloadKeys: config.temporalPayloadKey }),
  };
}

/** What a connection of the SDK is opened with. */
export const connectionOptions = ({ address, tls, apiKey }: TemporalAccess) => ({
  address,
  ...(tls !== undefined && { tls }),
  ...(apiKey !== undefined && { apiKey }),
});
