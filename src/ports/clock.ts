/** The time, for code that must not read it itself. Due-ness is never decided by it: that is control Postgres' clock. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
}
