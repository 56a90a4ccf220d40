/** What comparing a sync's source with its destination has found. */

/** What became of a row that the two sides do not have alike. */
export const rowFaults = ['missing', 'extra', 'different', 'duplicated'] as const;
/**
 * - `missing`: at the source, not in the target.
 * - `extra`: in the target, not at the source.
 * - `different`: on both sides with one key, in other values.
 * - `duplicated`: more rows of a key than the source has.
 */
export type RowFault = (typeof rowFaults)[number];

export interface VerifyReport {
  /** Nothing differs, and everything was compared. */
  equal: boolean;
  /** False: it was told to stop, or there were too many differences to list; the counts are of what was compared. */
  complete: boolean;
  sourceRows: number;
  destinationRows: number;
  missing: number;
  extra: number;
  different: number;
  duplicated: number;
  /** In the target in a version that the source has changed since, past the cursor: the next run brings them. */
  pending: number;
  /** At the source, and refused by the target: kept as rejects. */
  rejected: number;
  /** Rows of the source that share a key with another; the target has one of them. */
  deduplicated: number;
  /** A few of the rows that differ, by their keys as SQL prints a row; no key, no example. */
  examples: { fault: RowFault; key: string }[];
  /** When the load was finished that is compared, ISO 8601. */
  loadedAt: string;
  /** A run is in the middle of another load: what it has written so far may show as a difference. */
  unfinished: boolean;
}
