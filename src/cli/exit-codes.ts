/** What the command's exit code says; scripts rely on them. */
export const exitCodes = {
  /** Done. */
  done: 0,
  /** It failed: standard error says why. */
  failed: 1,
  /** The run that was waited for failed or was cancelled. */
  runUnsuccessful: 2,
  /** Something that Penstock stands on is not fit for it (`doctor`). */
  unfit: 3,
  /** Source and target differ, or not everything was compared (`verify`). */
  unequal: 4,
  /** A run would be refused (`plan`). */
  refused: 5,
  /** A wrong or missing option (EX_CONFIG of sysexits.h). */
  config: 78,
} as const;
