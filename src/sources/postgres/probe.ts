/** What can be known of a query without running it: its columns, how large it is, whether it can be continued. */
import type { Client } from 'pg';
import type { ColumnMapping } from '../../domain/column-mapping-spec.ts';
import { PenstockError, type ErrorCode } from '../../domain/errors.ts';
import type { ConnectionAccess } from '../../ports/connection.ts';
import type { MappedColumn, QueryProbe } from '../../ports/source.ts';
import { rowsOf, runAll } from '../../postgres-client/query.ts';
import { ident } from '../../postgres-client/quote.ts';
import { describeQuery } from './describe-query.ts';
import { findReader } from './find-reader.ts';
import { nameTypes } from './name-types.ts';
import { asSubselect } from './read-statement.ts';
import { findInstability, findKeyFlaw, isKeyNotNull, isKeyUnique } from './resumability.ts';
import { shortMs } from './source-session.ts';

export interface ProbeRequest {
  query: string;
  key: readonly string[];
  cursor: string | null;
  columns?: ColumnMapping | undefined;
  mapping?: readonly MappedColumn[] | undefined;
}

/** Parses, describes and explains the query inside a read-only transaction. */
export async function probeQuery(
  client: Client,
  access: ConnectionAccess,
  { key, cursor, ...request }: ProbeRequest,
): Promise<QueryProbe> {
  const { parsed, fields, mapping, now } = await describeQuery(client, { cursor, ...request });
  checkNames(
    fields.map((field) => field.name),
    key,
    cursor,
  );
  const uniqueKey = await isKeyUnique(client, parsed, fields, key);
  const keyFlaw = await findKeyFlaw(client, parsed.sql, fields, { key, uniqueKey });
  const reason = (await findInstability(client, parsed)) ?? keyFlaw;
  const keyMayBeNull = !uniqueKey && !(await isKeyNotNull(client, parsed, fields, key));
  const estimate = await explain(client, parsed.sql, key);
  const named = await nameTypes(client, fields);
  return {
    columns: named,
    ...(mapping && { mapping }),
    now,
    identity: `postgres://${access.host}:${access.port}/${access.database}`,
    keyMayBeNull,
    resumable:
      reason === null ? { possible: true, uniqueKey } : { possible: false, reason, uniqueKey, keyFlaw },
    ...estimate,
    ...(await findReader(client)),
  };
}

function checkNames(names: readonly string[], key: readonly string[], cursor: string | null): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw misfit('TARGET_MISMATCH', `Two columns of the result are named ${twice}`, '/source/query');
  if (names.length === 0) throw misfit('TARGET_MISMATCH', 'The result has no columns', '/source/query');
  for (const [i, name] of key.entries())
    if (!names.includes(name))
      throw misfit('NOT_RESUMABLE', `The key column ${name} is not in the result`, `/key/${i}`);
  if (cursor !== null && !names.includes(cursor))
    throw misfit('NOT_RESUMABLE', `The cursor column ${cursor} is not in the result`, '/cursor/column');
}

const misfit = (code: ErrorCode, message: string, pointer: string): PenstockError =>
  new PenstockError(code, `${message}.`, { pointer });

interface PlanNode {
  'Node Type': string;
  'Plan Rows': number;
  Plans?: PlanNode[];
}

/**
 * For the transaction. Explaining a large query loads the compiler of expressions, some 30 ms, for what is never run. Servers
 * without the setting are left alone.
 */
const withoutJit = `select pg_catalog.set_config(name, 'off', true) from pg_catalog.pg_settings where name = 'jit'`;

/** The planner's estimate, and whether it sorts the result for the key. */
async function explain(
  client: Client,
  sql: string,
  key: readonly string[],
): Promise<{ estimatedRows: number | null; sortsForKey: boolean }> {
  const order = key.length > 0 ? `order by ${key.map((name) => `q.${ident(name)}`).join(', ')}` : '';
  await runAll(client, withoutJit, shortMs);
  const [row] = await rowsOf<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
    client,
    shortMs,
    `explain (format json) select * from ${asSubselect(sql)} ${order}`,
  );
  const top = row?.['QUERY PLAN'][0]?.Plan;
  let node = top;
  while (node && /^(Gather|Subquery Scan|Result|Limit)/.test(node['Node Type'])) node = node.Plans?.[0];
  return {
    estimatedRows: top?.['Plan Rows'] ?? null,
    sortsForKey: node?.['Node Type'].endsWith('Sort') ?? false,
  };
}
