/** What may be done about what a sync has read so far. */

/** What a cursor's value is kept for (src/copy/plan-hash.ts): where one of these is another, it is worth nothing. */
export const cursorIsFor = 'query, columns, key, cursor, deletedWhen, table, scope or source';

/**
 * - `reset`: it is forgotten, the next run reads everything.
 * - `accept`: the rows of an unfinished load stay as they are, the rest of it is given up.
 * - `keep`: the cursor stays, although what it was kept for has changed.
 */
export const resetWays = ['reset', 'accept', 'keep'] as const;
export type ResetWay = (typeof resetWays)[number];
