/** The client side of Temporal: one lazy connection that recovers quickly and never waits for ever. */
import { Client, Connection } from '@temporalio/client';
import { clientConverter } from './payload-codec.ts';
import { connectionOptions, type TemporalAccess } from './temporal-access.ts';

/** Without these a client notices only ten seconds and more later that the server is back. */
const channelArgs = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

/** A client that connects at its first call; close its `connection` at the end. */
export const connectClient = (access: TemporalAccess): Client =>
  new Client({
    connection: Connection.lazy({ ...connectionOptions(access), channelArgs }),
    namespace: access.namespace,
    ...clientConverter(access.payloadKeys),
  });
