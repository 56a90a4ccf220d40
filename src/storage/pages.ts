/** Keyset pages: a page goes on after the last row of the one before, whatever was inserted meanwhile. */
import { PenstockError } from '../domain/errors.ts';
import { isId, type IdKind } from '../domain/ids.ts';
import type { Page, PageRequest } from '../ports/scope.ts';

const badCursor = (): PenstockError =>
  new PenstockError('BAD_REQUEST', 'the cursor is not one that a page of this list gave', {
    pointer: '/query/cursor',
  });

/** Cuts rows that were read with `limit + 1` into a page. */
export function cutPage<T>(rows: readonly T[], { limit }: PageRequest, keyOf: (row: T) => string): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? keyOf(last) : null };
}

/** The id to go on after; the empty text comes before every id. */
export function afterId(kind: IdKind, { after }: PageRequest): string {
  if (after === undefined) return '';
  if (!isId(kind, after)) throw badCursor();
  return after;
}

/** The number to go on after. */
export function afterNumber({ after }: PageRequest): string | null {
  if (after === undefined) return null;
  if (!/^\d{1,18}$/.test(after)) throw badCursor();
  return after;
}

/** Where a list ordered by two numbers goes on. */
export function afterTwoNumbers({ after }: PageRequest): readonly [string, string] | readonly [null, null] {
  if (after === undefined) return [null, null];
  const [, first, second] = /^(\d{1,18})~(\d{1,9})$/.exec(after) ?? [];
  if (first === undefined || second === undefined) throw badCursor();
  return [first, second];
}

/** Where a list ordered by a time and an id goes on: microseconds since the Unix epoch, and the id. */
export function afterTimeAndId(kind: IdKind, { after }: PageRequest): { micros: string | null; id: string } {
  if (after === undefined) return { micros: null, id: '' };
  const [micros = '', id = ''] = after.split('~');
  if (!/^\d{1,17}$/.test(micros) || !isId(kind, id)) throw badCursor();
  return { micros, id };
}
