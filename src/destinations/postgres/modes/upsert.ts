/**
 * Upsert: a batch is merged by key. Into a table that was empty when the load was opened its rows go straight, without a
 * second write, until a key is met that is there: that batch and those after it are staged and merged. With `deletedWhen`
 * all are, since rows that say that their key is gone must not go in; and with a scope, whose columns COPY does not bring.
 */
import { writeModes } from '../../../domain/write-modes.ts';
import { sqlstateOf } from '../../../postgres-client/driver-errors.ts';
import { straight } from './append.ts';
import { mergeStaged } from './merge.ts';
import { lockedByBatches, type Mode, type Route, type Writing } from './mode.ts';
import { createStaging, stagingTable } from './staging.ts';

const uniqueViolation = '23505';

export const upsert: Mode = {
  ...writeModes.upsert,
  rights: ['SELECT', 'INSERT', 'UPDATE'],
  foresee: async () => ({ locks: [lockedByBatches] }),
  route: (writing) => {
    const { wasEmpty, plan } = writing.load;
    return wasEmpty && !plan.deletedWhen && !plan.scope ? straightUntilMet(writing) : staged(writing);
  },
};

/** In parts all are merged: of a row whose key is there, or comes twice, it could not be told that it is no reject. */
const straightUntilMet = (writing: Writing): Route => ({
  ...straight(writing),
  inParts: staged(writing),
  otherwise: (error) => {
    const { cause } = error as { cause?: unknown };
    return sqlstateOf(cause ?? {}) === uniqueViolation ? staged(writing) : null;
  },
});

/** Rows go into a table of the transaction, and are merged from there. */
export function staged(writing: Writing): Route {
  const { client, load } = writing;
  const { plan } = load;
  // Guessed from the batch before. A trigger may make something else of a row: which of them differ is not known before.
  let mostAreUnchanged = true;
  return {
    prepare: createStaging({ ...writing, plan }),
    into: stagingTable,
    apply: async (rows) => {
      const compareFirst = mostAreUnchanged && !writing.verify;
      const counts = await mergeStaged(client, { ...writing, plan, rows, compareFirst });
      mostAreUnchanged = 2 * counts.unchanged >= rows;
      return counts;
    },
    clear: `truncate ${stagingTable}`,
    otherwise: () => null,
  };
}
