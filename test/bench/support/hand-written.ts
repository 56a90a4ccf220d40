/** What an expert writes to merge rows into a table: a staging table, then set statements, in one transaction. */
import { type CopyStage, psqlOn, type Work } from './copy-stage.ts';
import { lineitemColumns, lineitemKey } from './keyed-lineitem.ts';
import type { Subject } from './take-turns.ts';

/** Stages `lineitem` and runs the statements. */
export const handWritten = (
  stage: CopyStage,
  name: string,
  work: Work,
  merge: (table: string) => readonly string[],
): Subject =>
  psqlOn(stage, name, work, (table) => ({
    format: 'binary',
    rows: 'lineitem',
    destination: {
      url: stage.destination,
      table: 'stage',
      before: [`create temporary table stage (like ${table}) on commit drop`],
      after: merge(table),
    },
  }));

const others = lineitemColumns.filter((column) => !lineitemKey.includes(column));
const of = (prefix: string): string => others.map((column) => `${prefix}.${column}`).join(', ');
const assignments = (prefix: string): string =>
  others.map((column) => `${column} = ${prefix}.${column}`).join(', ');
const sameKey = lineitemKey.map((column) => `t.${column} = s.${column}`).join(' and ');

/** Only rows that differ are rewritten. */
export const upsertStaged = (table: string): string[] => [
  `insert into ${table} as t select * from stage on conflict (${lineitemKey.join(', ')}) do update
     set ${assignments('excluded')} where (${of('t')}) is distinct from (${of('excluded')})`,
];

export const mirrorStaged = (table: string): string[] => [
  'analyze stage',
  `delete from ${table} as t where not exists (select from stage as s where ${sameKey})`,
  `update ${table} as t set ${assignments('s')} from stage as s
     where ${sameKey} and (${of('t')}) is distinct from (${of('s')})`,
  `insert into ${table} select * from stage as s where not exists (select from ${table} as t where ${sameKey})`,
];
