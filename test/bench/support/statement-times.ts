/** How long Postgres was at each statement, by pg_stat_statements, which comes with Postgres' contrib packages. */
import { execute } from './servers.ts';

export const statementSettings = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'all',
};

/** What a statement begins with, and where it is. The checks of foreign keys are part of those that cause them, too. */
const names: readonly (readonly [pattern: string, name: string])[] = [
  ['with advanced as%', 'settle: saveJudgement'],
  ['with instant as%', 'settle: fetchSyncFacts'],
  ['select id from penstock.sync%', 'settle: lockSyncs'],
  ['with old as%', 'admit: changeRuns'],
  ['%as judged%', 'admit: judgeRuns'],
  ['select id from penstock.run where id%', 'admit: lockRuns'],
  ['commit', 'commit'],
  ['%for key share of x', 'foreign keys, within these'],
];

/** Elapsed seconds since pg_stat_statements_reset(), the longest first. */
export async function listStatements(
  url: string,
): Promise<{ statement: string; calls: number; seconds: number }[]> {
  const name = names.map(([pattern, is]) => `when query ilike '${pattern}' then '${is}'`).join(' ');
  const rows = await execute(
    url,
    `select case ${name} else 'all others' end as statement, sum(calls)::float8 as calls,
       sum(total_exec_time) / 1000 as seconds
     from pg_stat_statements where toplevel or query ilike '%for key share of x'
     group by 1 order by 3 desc`,
  );
  return rows as unknown as { statement: string; calls: number; seconds: number }[];
}
