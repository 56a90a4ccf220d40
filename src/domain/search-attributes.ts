/**
 * The search attributes of a run's workflow, by which operators filter in the Temporal Web UI. Registering one again
 * with another type changes nothing in Temporal and raises no error, so a type here is for ever.
 */
export const searchAttributes = {
  Tenant: 'Keyword',
  Sync: 'Keyword',
  Source: 'Keyword',
  Mode: 'Keyword',
  RunState: 'Keyword',
  ErrorClass: 'Keyword',
  Trigger: 'Keyword',
  Rows: 'Int',
  DueAt: 'Datetime',
} as const;
