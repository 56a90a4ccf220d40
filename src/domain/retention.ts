/**
 * How long what is written is kept. What is open (a run, a load, a reject) is kept whatever its age; docs/maintenance.md has
 * the same numbers.
 */
export const keptDays = {
  /** Runs that ended, with their attempts, receipts and keys, and slots; in destinations their loads. */
  runs: 90,
  /** What happened, step by step. */
  events: 30,
  /** Who changed what. */
  audit: 400,
  /** Checkpoints and partitions of a load that is closed: of interest while somebody may ask how it was copied. */
  loadDetails: 7,
  /** Rejects that were settled, or that were only why a run ended. */
  rejects: 30,
  /** Answers that an Idempotency-Key gives again. */
  answers: 1,
} as const;
