/** Typed keys of the search attributes, for those who set them: the starter at birth, the workflow as it goes on. */
import { defineSearchAttributeKey } from '@temporalio/common';

export const searchKeys = {
  tenant: defineSearchAttributeKey('Tenant', 'KEYWORD'),
  sync: defineSearchAttributeKey('Sync', 'KEYWORD'),
  source: defineSearchAttributeKey('Source', 'KEYWORD'),
  mode: defineSearchAttributeKey('Mode', 'KEYWORD'),
  trigger: defineSearchAttributeKey('Trigger', 'KEYWORD'),
  /** A status of the run, from `starting` on. */
  runState: defineSearchAttributeKey('RunState', 'KEYWORD'),
  /** The error's code: by it operators find all runs that one cause stopped. */
  errorClass: defineSearchAttributeKey('ErrorClass', 'KEYWORD'),
  rows: defineSearchAttributeKey('Rows', 'INT'),
  dueAt: defineSearchAttributeKey('DueAt', 'DATETIME'),
} as const;
