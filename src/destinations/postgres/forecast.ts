/** What opening and publishing a load would meet here, looked at in a transaction that cannot write. */
import { codeOf, PenstockError } from '../../domain/errors.ts';
import type { SyncId } from '../../domain/ids.ts';
import type { LoadPlan, OnSchemaChange, TargetForecast } from '../../ports/destination.ts';
import { judgeCursor } from './cursor.ts';
import type { Sql } from './destination-session.ts';
import { addingDdl, checkFit, type Fitting } from './fit-columns.ts';
import { foreseeUnfinished } from './load.ts';
import { inspectTarget, presentIn } from './inspect-target.ts';
import { fetchPlanBefore, isPrepared } from './load-row.ts';
import { modeOf } from './modes/modes.ts';
import { inScope } from './scoped.ts';
import { targetChecks, targetDdl } from './target.ts';
import { qualifiedName } from './target-name.ts';

interface ForecastRequest {
  sync: SyncId;
  plan: LoadPlan;
  /** The role that the connection was granted as. */
  role: string | undefined;
  keepPrevious: boolean;
  onSchemaChange: OnSchemaChange;
}

const claim = {
  on: '_penstock.target',
  lock: 'SHARE ROW EXCLUSIVE',
  when: 'for a moment, when a load is opened for a table that is not its sync’s yet; others that are opened so wait',
};
const creation = { lock: 'ACCESS EXCLUSIVE', when: 'while it is created; nobody has it yet' };
const adding = {
  lock: 'ACCESS EXCLUSIVE',
  when: 'for a moment, when the load is opened, to add columns; writers are waited for before, readers for a second',
};

/** Every refusal, not the first one only. */
export async function forecast(sql: Sql, request: ForecastRequest): Promise<TargetForecast> {
  await sql('set transaction read only');
  const { sync, plan, role, keepPrevious, onSchemaChange } = request;
  const { schema, table } = plan.target;
  const name = `${schema}.${table}`;
  const refusals: PenstockError[] = [];
  const prepared = await isPrepared(sql);
  const facts = await fetchFacts(sql, plan, role);
  const target = await inspectTarget(sql, plan.target);
  const columns = target && presentIn(target);
  const { relation } = facts;
  const before = prepared ? await fetchPlanBefore(sql, sync, plan) : null;
  const fitting = { plan, before, onSchemaChange };
  const checks =
    relation === null || !target
      ? []
      : targetChecks(sql, { sync, ...fitting, target, present: columns, prepared });
  for (const check of [...checks, () => checkRights(request, facts, prepared)])
    await collect(refusals, check);
  const { locks, refusal } = await modeOf(plan).foresee(sql, { plan, relation, role, keepPrevious });
  if (refusal) refusals.push(refusal);
  const ddl =
    relation === null
      ? await targetDdl(sql, plan)
      : await changingDdl(sql, { ...fitting, present: columns ?? [] });
  return {
    exists: relation !== null,
    estimatedRows:
      plan.scope && facts.estimatedRows !== null ? await guessRows(sql, plan) : facts.estimatedRows,
    ddl,
    locks: [
      claim,
      ...(ddl.length === 0 ? [] : [{ on: name, ...(relation === null ? creation : adding) }]),
      ...locks.map((each) => ({ on: name, ...each })),
    ],
    cursor: prepared ? (await judgeCursor(sql, sync, plan)).fate : 'first',
    unfinished: prepared ? await foreseeUnfinished(sql, sync, plan) : null,
    refusals,
  };
}

/** What is added to a table that is there; nothing where that is refused. */
async function changingDdl(sql: Sql, fitting: Fitting): Promise<string[]> {
  if (fitting.onSchemaChange !== 'add_columns') return [];
  try {
    const { missing } = checkFit(fitting);
    return missing.length === 0 ? [] : [await addingDdl(sql, fitting.plan, missing)];
  } catch {
    return [];
  }
}

async function collect(refusals: PenstockError[], check: () => unknown): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (codeOf(error) === 'INTERNAL') throw error;
    refusals.push(error as PenstockError);
  }
}

interface Facts {
  relation: string | null;
  estimatedRows: number | null;
  /** Who writes the rows. */
  writer: string;
  login: string;
  schemaExists: boolean;
  /** Rights of the table that the writer lacks. */
  lacks: string[];
  mayCreateSchema: boolean;
  mayCreateTable: boolean;
}

/** Of the sync's rows, by the server's planner. */
async function guessRows(sql: Sql, plan: LoadPlan): Promise<number> {
  const from = `${qualifiedName(plan.target)} as t where ${inScope('t', plan)}`;
  const [row] = await sql<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    `explain (format json) select from ${from}`,
  );
  return row!['QUERY PLAN'][0].Plan['Plan Rows'];
}

async function fetchFacts(sql: Sql, plan: LoadPlan, role: string | undefined): Promise<Facts> {
  const [facts] = await sql<Facts>(
    `select c.oid::text as relation, nullif(c.reltuples, -1)::float8 as "estimatedRows",
            w.name as writer, current_user::text as login, n.oid is not null as "schemaExists",
            array(select r from unnest($4::text[]) as r where not has_table_privilege(w.name, c.oid, r)) as lacks,
            has_database_privilege(current_database(), 'CREATE') as "mayCreateSchema",
            coalesce(has_schema_privilege(w.name, n.oid, 'CREATE'), has_database_privilege(w.name, current_database(), 'CREATE'))
              as "mayCreateTable"
       from (select coalesce($3::text, current_user) as name) as w
       left join pg_namespace n on n.nspname = $1
       left join pg_class c on c.relnamespace = n.oid and c.relname = $2 and c.relkind not in ('i', 'I', 't', 'c')`,
    [plan.target.schema, plan.target.table, role ?? null, modeOf(plan).rights],
  );
  return facts!;
}

/** DESTINATION_PERMISSION. */
function checkRights({ plan }: ForecastRequest, facts: Facts, prepared: boolean): void {
  const { schema, table } = plan.target;
  const refuse = (what: string, pointer = '/destination/table'): never => {
    throw new PenstockError('DESTINATION_PERMISSION', `${what}.`, { pointer });
  };
  if (!prepared && !facts.mayCreateSchema)
    refuse(`The login ${facts.login} may not create the schema _penstock`, '/destination/connection');
  if (facts.relation === null && !facts.mayCreateTable)
    refuse(`The role ${facts.writer} may not create ${schema}.${table}`);
  if (facts.relation !== null && facts.lacks.length > 0)
    refuse(`The role ${facts.writer} may not ${facts.lacks.join(', ')} on ${schema}.${table}`);
}
