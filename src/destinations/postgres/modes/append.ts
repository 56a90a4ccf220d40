/**
 * Append: rows go straight into the target, and every one of them is new. Those of a query that cannot be resumed wait in
 * a shadow, from which they can be taken back, and are inserted all at once.
 */
import { writeModes } from '../../../domain/write-modes.ts';
import { runAll } from '../../../postgres-client/query.ts';
import { insertAll } from '../scoped.ts';
import { qualifiedName, rowsSwallowed } from '../target-name.ts';
import { sumCheckpoints } from '../sum-checkpoints.ts';
import { writingTarget } from '../writing-target.ts';
import { lockedByBatches, noCounts, rowLock, type Mode, type Route, type Writing } from './mode.ts';
import { createStaging, stagingTable } from './staging.ts';
import { createShadow, dropShadow, emptyShadow, insertShadow, shadowOf } from './shadow.ts';

export const append: Mode = {
  ...writeModes.append,
  rights: ['INSERT'],
  foresee: async () => ({ locks: [lockedByBatches] }),
  route: straight,
};

/** Rows take their scope on the way from a table of the transaction, which costs a second write: COPY adds no constants. */
export const scopedAppend: Mode = { ...append, rights: ['SELECT', 'INSERT'], route: throughStaging };

export const stagedAppend: Mode = {
  ...writeModes.append,
  rights: ['INSERT'],
  foresee: async () => ({
    locks: [{ lock: rowLock, when: 'in the one transaction that publishes all rows at the end' }],
  }),
  staged: true,
  open: (sql, load, { role }) => createShadow(sql, load, role),
  restart: emptyShadow,
  route: ({ load }) => allNew(shadowOf(load.id)),
  publish: async (sql, load, { role }) => {
    const { rows, rejected } = await sumCheckpoints(sql, load.id);
    const inserted = await writingTarget(sql, { load, role }, () => insertShadow(sql, load));
    if (inserted !== rows - rejected) throw rowsSwallowed(load.plan);
    return { phase: 'done' };
  },
  clear: dropShadow,
};

/** Rows go into the target itself. */
export function straight({ load }: Writing): Route {
  return allNew(qualifiedName(load.plan.target));
}

function throughStaging({ client, load: { plan }, columns, unwritten, answerMs }: Writing): Route {
  return {
    prepare: createStaging({ plan, columns, unwritten }),
    into: stagingTable,
    apply: async (rows) => {
      const [inserted] = await runAll(client, insertAll(plan, stagingTable), answerMs);
      if (inserted!.rowCount !== rows) throw rowsSwallowed(plan);
      return { ...noCounts, inserted: rows };
    },
    clear: `truncate ${stagingTable}`,
    otherwise: () => null,
  };
}

/** Rows go into a table as they come, and are counted as inserted. */
export function allNew(into: string): Route {
  return {
    into,
    apply: (rows) => Promise.resolve({ ...noCounts, inserted: rows }),
    otherwise: () => null,
  };
}
