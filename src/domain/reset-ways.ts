/** What may be done about what a sync has read so far. */

/**
 * - `reset`: it is forgotten, the next run reads everything.
 * - `accept`: the rows of an unfinished load stay as they are, the rest of it is given up.
 * - `keep`: the cursor stays, although what it was kept for (query, key, cursor, table, source) has changed.
 */
export const resetWays = ['reset', 'accept', 'keep'] as const;
export type ResetWay = (typeof resetWays)[number];
