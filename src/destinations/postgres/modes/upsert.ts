/**
 * Upsert: a batch is merged by key. Into a table that was empty when the load was opened its rows go straight, without a
 * second write, until a key is met that is there: that batch and those after it are staged and merged.
 */
import { sqlstateOf } from '../classify-error.ts';
import { straight } from './append.ts';
import { createStaging, mergeStaged, stagingTable } from './merge.ts';
import type { Mode, Route, Writing } from './mode.ts';

const uniqueViolation = '23505';

export const upsert: Mode = {
  onlyAdds: false,
  keyed: true,
  route: (writing) => (writing.load.wasEmpty ? straightUntilMet(writing) : staged(writing)),
};

const straightUntilMet = (writing: Writing): Route => ({
  ...straight(writing),
  otherwise: (error) => {
    const { cause } = error as { cause?: unknown };
    return sqlstateOf(cause ?? {}) === uniqueViolation ? staged(writing) : null;
  },
});

/** Rows go into a table of the transaction, and are merged from there. */
export function staged(writing: Writing): Route {
  const { client, load, columns, verify, answerMs } = writing;
  return {
    prepare: createStaging(load.plan),
    into: stagingTable,
    apply: (rows) => mergeStaged(client, { plan: load.plan, columns, rows, verify, answerMs }),
    clear: `truncate ${stagingTable}`,
    otherwise: () => null,
  };
}
