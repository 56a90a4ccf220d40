/** What the API answers about a sync's two databases. */
import { z } from 'zod';
import { rowFaults } from '../domain/verify-report.ts';
import { timestamp } from './common-schema.ts';

const rows = z.number();

export const verifyBody = z.strictObject({
  maxExamples: z.int().min(0).max(1_000).default(20).describe('Keys of so many rows that differ are told.'),
  maxSeconds: z
    .int()
    .min(1)
    .max(240)
    .default(60)
    .describe('After this long it says what it has found so far.'),
});

export const verifyReport = z
  .object({
    equal: z.boolean().describe('Nothing differs, and everything was compared.'),
    complete: z.boolean().describe('false: out of time, or too many differences to list.'),
    sourceRows: rows,
    destinationRows: rows,
    missing: rows.describe('At the source, not in the target.'),
    extra: rows.describe('In the target, not at the source.'),
    different: rows.describe('On both sides with one key, in other values.'),
    duplicated: rows.describe('More rows of a key than the source has.'),
    pending: rows.describe('Changed at the source past the cursor: the next run brings them.'),
    rejected: rows.describe('Refused by the target, and kept as rejects.'),
    deduplicated: rows.describe('Rows of the source that share a key, of which the target has one.'),
    examples: z.array(
      z.object({ fault: z.enum(rowFaults), key: z.string().describe('As SQL prints a row: `(17,eu)`.') }),
    ),
    loadedAt: timestamp.describe('When the load was finished that is compared.'),
    unfinished: z.boolean().describe('Another load is in progress: what it has written may show here.'),
  })
  .meta({ id: 'VerifyReport', description: 'What comparing a sync’s source with its target has found.' });
