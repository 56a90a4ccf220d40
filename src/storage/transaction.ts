/**
 * Transactions on the control database. Role and tenant are set inside each transaction, so nothing leaks through the
 * pool and a transaction-pooling proxy may sit in between; a transaction without a tenant sees no tenant's rows.
 * A database that does not answer is UNAVAILABLE; whether the commit happened is then unknown.
 */
import { escapeLiteral, type Pool, type PoolClient } from 'pg';
import type { TenantId } from '../domain/ids.ts';
import { classifyError } from './classify-error.ts';

/** One open transaction. Never kept beyond the function it was handed to. */
export type Tx = Pick<PoolClient, 'query'>;

/** Runs `work` as the API's role, seeing one tenant only. */
export const asTenant = <T>(pool: Pool, tenantId: TenantId, work: (tx: Tx) => Promise<T>): Promise<T> =>
  inTransaction(pool, 'penstock_api', { 'penstock.tenant': tenantId }, work);

/** Runs `work` as the engine's role (dispatcher, worker), seeing every tenant. */
export const asEngine = <T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> =>
  inTransaction(pool, 'penstock_engine', {}, work);

/** Runs `work` as the operator's role: every tenant, for answers to an operator's key. */
export const asOperator = <T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> =>
  inTransaction(pool, 'penstock_operator', {}, work);

/** Runs `work` as the API's role with one more setting, to find a key by its hash. */
export const asKeyHolder = <T>(pool: Pool, keyHashHex: string, work: (tx: Tx) => Promise<T>): Promise<T> =>
  inTransaction(pool, 'penstock_api', { 'penstock.key_hash': keyHashHex }, work);

type Role = 'penstock_api' | 'penstock_engine' | 'penstock_operator';

/**
 * A process that hangs in the middle of a transaction must not hold its rows for ever. Local to the transaction, like
 * the rest.
 */
const limits = {
  lock_timeout: '10s',
  statement_timeout: '60s',
  idle_in_transaction_session_timeout: '30s',
};

async function inTransaction<T>(
  pool: Pool,
  role: Role,
  settings: Record<string, string>,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw classifyError(error);
  });
  let broken: Error | undefined;
  const noteBroken = (error: Error): void => {
    broken = error;
  };
  client.on('error', noteBroken);
  try {
    await client.query(beginStatement({ role, ...limits, ...settings }));
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(noteBroken);
    throw classifyError(error);
  } finally {
    client.off('error', noteBroken);
    client.release(broken);
  }
}

/** One round trip. The role comes first: what it may not set, it may not. */
function beginStatement(settings: Record<string, string>): string {
  const set = Object.entries(settings).map(
    ([name, value]) => `set_config(${escapeLiteral(name)}, ${escapeLiteral(value)}, true)`,
  );
  return `begin isolation level read committed; select ${set.join(', ')}`;
}
