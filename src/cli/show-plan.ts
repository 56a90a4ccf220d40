/** How the command line shows a plan to people. */
import type { SyncPlan } from '../domain/sync-plan.ts';
import { exitCodes } from './exit-codes.ts';
import { print, printJson, tableOf } from './show.ts';

/** Prints it; the exit code. */
export function showPlan(plan: SyncPlan, json: boolean): number {
  if (json) printJson(plan);
  else print(describePlan(plan));
  return plan.ok ? exitCodes.done : exitCodes.refused;
}

const guess = (rows: number | null): string =>
  rows === null ? 'an unknown number of' : `about ${Math.round(rows).toLocaleString('en-US')}`;

function describePlan(plan: SyncPlan): string {
  const { read, key, target, deletes, cursor, unfinishedLoad } = plan;
  return [
    plan.ok ? 'A run would begin to copy.' : 'A run would be refused:',
    ...plan.refusals.map(
      ({ code, pointer, message, cure }) =>
        `  ${code}${pointer === null ? '' : ` at ${pointer}`}: ${message} ${cure}`,
    ),
    ...plan.warnings.map((warning) => `warning  ${warning}`),
    ...(read
      ? [
          `read     ${guess(read.estimatedRows)} rows by ${read.reader.toUpperCase()}, as ${read.format}. ${read.why}`,
        ]
      : []),
    ...(key ? [`key      ${key.columns.join(', ')}. ${key.consequence}`] : []),
    ...(cursor ? [`cursor   ${cursor.column}: ${cursor.becomes}. ${cursor.why}`] : []),
    ...(unfinishedLoad
      ? [
          `load     ${unfinishedLoad.loadId}, ${unfinishedLoad.rows} rows: ${unfinishedLoad.becomes}. ${unfinishedLoad.why}`,
        ]
      : []),
    ...(target
      ? [
          target.exists
            ? `target   ${target.table}, ${guess(target.estimatedRows)} rows`
            : `target   ${target.table}, to be made:`,
          ...target.ddl.map((statement) => `           ${statement};`),
        ]
      : []),
    ...(deletes ? [`deletes  ${deletes.expected ?? 'unknown'}. ${deletes.why}`] : []),
    ...plan.locks.map(({ on, lock, when }) => `lock     ${lock} on ${on}, ${when}`),
    ...(plan.columns.length > 0
      ? [
          '',
          tableOf(
            plan.columns.map(({ name, mapped, sourceType, targetType, conversion, textBecause }) => ({
              column: name,
              mapped,
              source: sourceType,
              target: targetType,
              conversion,
              'as text because': textBecause,
            })),
          ),
        ]
      : []),
  ].join('\n');
}
