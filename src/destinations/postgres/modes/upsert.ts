/**
 * Upsert: a batch is merged by key. Where nothing but new keys is expected its rows go straight into the target, without a
 * second write, until a key is met that is there: into a table that was empty when the load was opened, and after a batch
 * of new keys alone. With `deletedWhen` all are merged, since rows that say that their key is gone must not go in; and with
 * a scope, whose columns COPY does not bring.
 */
import { writeModes } from '../../../domain/write-modes.ts';
import { sqlstateOf } from '../../../postgres-client/driver-errors.ts';
import { straight } from './append.ts';
import { mergeStaged } from './merge.ts';
import { lockedByBatches, type Mode, type Route, type Writing } from './mode.ts';
import { createStaging, stagingTable } from './staging.ts';

/** What is no reason to refuse a row that goes straight: its key is there; the server has row-level security, and no COPY. */
const mergesInstead = /^(23505|0A000)$/;

export const upsert: Mode = {
  ...writeModes.upsert,
  rights: ['SELECT', 'INSERT', 'UPDATE'],
  foresee: async () => ({ locks: [lockedByBatches] }),
  route: (writing) => {
    const { deletedWhen, scope } = writing.load.plan;
    return deletedWhen || scope ? staged(writing) : straightWhileNew(writing);
  },
};

/**
 * Merges, or goes straight, by what became of the batches before. A wrong guess costs one batch that is written in vain, and
 * each makes the next one twice as late. In parts all are merged: of a row whose key is there, or comes twice, it could not
 * be told that it is no reject.
 */
function straightWhileNew(writing: Writing): Route {
  let newInARow = 0;
  let wanted = 1;
  const merging: Route = {
    ...staged(writing),
    after: ({ inserted }, rows) => {
      newInARow = inserted === rows ? newInARow + 1 : 0;
      // What a trigger makes of a row is looked at when it is merged.
      return newInARow >= wanted && !writing.verify ? direct : merging;
    },
  };
  const direct: Route = {
    ...straight(writing),
    inParts: merging,
    otherwise: (error) => {
      const { cause } = error as { cause?: unknown };
      if (!mergesInstead.test(sqlstateOf(cause ?? {}) ?? '')) return null;
      newInARow = 0;
      wanted *= 2;
      return merging;
    },
  };
  return writing.load.wasEmpty ? direct : merging;
}

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
