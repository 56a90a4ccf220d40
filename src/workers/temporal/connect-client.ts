/** The client side of Temporal: one lazy connection that recovers quickly and never waits for ever. */
import { Client, Connection } from '@temporalio/client';

export interface TemporalAddress {
  /** host:port of the frontend. */
  readonly address: string;
  readonly namespace: string;
}

/** Without these a client notices only ten seconds and more later that the server is back. */
const channelArgs = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

/** A client that connects at its first call; close its `connection` at the end. */
export const connectClient = ({ address, namespace }: TemporalAddress): Client =>
  new Client({ connection: Connection.lazy({ address, channelArgs }), namespace });
