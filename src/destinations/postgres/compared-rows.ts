/** The rows of a target, to be compared with those of the query that fills it; read as the role that writes it. */
import type { Client } from 'pg';
import { findUngranted } from '../../domain/connection-grant.ts';
import type { ComparedTarget, DestinationRows } from '../../ports/comparison.ts';
import { listRows, sumBuckets, type ComparedRelation } from '../../postgres-client/compare-statements.ts';
import { ident } from '../../postgres-client/quote.ts';
import { runAll } from '../../postgres-client/query.ts';
import {
  beginStatement,
  inTransaction,
  withDestination,
  type DestinationContext,
} from './destination-session.ts';
import { isMarked } from './modes/soft-delete.ts';
import { inScope } from './scoped.ts';
import { qualifiedName } from './target-name.ts';

/** FORBIDDEN for rows that were granted when they were written, and are not now. */
export function comparedRows(
  context: DestinationContext,
  { sync, target, scope, columns, key, softDelete }: DestinationRows,
): ComparedTarget {
  const { granted } = context.access;
  const table = `${target.schema}.${target.table}`;
  const refusal = granted && findUngranted(granted, { destination: { table }, ...(scope && { scope }) });
  if (refusal) throw refusal;
  const where = [inScope('q', { scope }), ...(softDelete ? [`not ${isMarked('q', softDelete)}`] : [])];
  const relation: ComparedRelation = { from: `${qualifiedName(target)} as q`, where, columns, key };
  const reading = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
    withDestination(context, 'Comparing the target', async (client) => {
      const { answerMs } = context.timeouts;
      const role = context.access.databaseRole;
      const asRole = role === undefined ? '' : `; set local role ${ident(role)}`;
      await runAll(client, `${beginStatement(context)}; set transaction read only${asRole}`, answerMs);
      const result = await work(client);
      await runAll(client, 'commit', answerMs);
      return result;
    });
  return {
    sumBuckets: (part, signal) => reading((client) => sumBuckets(client, relation, part, signal)),
    listRows: (part, buckets, signal) =>
      reading((client) => listRows(client, relation, { part, buckets }, signal)),
    listRejected: () =>
      inTransaction(context, 'Reading the rejects', (sql) =>
        sql<{ key: string | null; rows: number }>(
          `select case when cardinality(key) > 0 then row(${key.map((_, i) => `key[${i + 1}]`).join(', ')})::text end as key, rows
             from _penstock.reject where sync = $1 and settled_at is null and not stopped`,
          [sync],
        ),
      ),
  };
}
