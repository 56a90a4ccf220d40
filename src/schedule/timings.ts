/** Times that the dispatcher and the index must agree on. */

/** A dispatcher looks at the index at least this often. */
export const defaultLookEveryMs = 1_000;

/** How long a ticket is good. A run that is `starting` for longer has lost its dispatcher. */
export const defaultTicketMs = 30_000;

/** When a row that somebody held is tried again. */
export const lockedMs = 250;
