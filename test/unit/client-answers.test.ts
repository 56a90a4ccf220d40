/** The client's types are the API's: a difference fails the type check, of which this file is a part. */
import { expect, test } from '@jest/globals';
import type { z } from 'zod';
import type { backfill } from '../../src/api/backfill-schema.ts';
import type { connection } from '../../src/api/connection-schema.ts';
import type { pause } from '../../src/api/pause-schema.ts';
import type { syncPlan, verifyReport } from '../../src/api/examine-schema.ts';
import type { explanation, run, runAttempt, runEvent } from '../../src/api/run-schema.ts';
import type { reject } from '../../src/api/routes/sync-rejects.ts';
import type { cadence, resetPreview, slot, sync } from '../../src/api/sync-schema.ts';
import type { apiKey, tenant } from '../../src/api/tenant-schema.ts';
import type {
  ApiKeyAnswer,
  BackfillAnswer,
  CadenceAnswer,
  ConnectionAnswer,
  PauseAnswer,
  RejectAnswer,
  ResetPreviewAnswer,
  RunAnswer,
  RunAttemptAnswer,
  RunEventAnswer,
  RunExplanationAnswer,
  SlotAnswer,
  SyncAnswer,
  TenantAnswer,
} from '../../src/client/answers.ts';
import type { SyncPlan } from '../../src/domain/sync-plan.ts';
import type { VerifyReport } from '../../src/domain/verify-report.ts';

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : 'the API has less') : 'the API has more';
const same = <A, B>(proof: Same<A, B>): boolean => proof === true;

test('what the client says that the API answers is what the API says', () => {
  expect([
    same<z.output<typeof tenant>, TenantAnswer>(true),
    same<z.output<typeof apiKey>, ApiKeyAnswer>(true),
    same<z.output<typeof connection>, ConnectionAnswer>(true),
    same<z.output<typeof pause>, PauseAnswer>(true),
    same<z.output<typeof sync>, SyncAnswer>(true),
    same<z.output<typeof resetPreview>, ResetPreviewAnswer>(true),
    same<z.output<typeof cadence>, CadenceAnswer>(true),
    same<z.output<typeof slot>, SlotAnswer>(true),
    same<z.output<typeof reject>, RejectAnswer>(true),
    same<z.output<typeof verifyReport>, VerifyReport>(true),
    same<z.output<typeof syncPlan>, SyncPlan>(true),
    same<z.output<typeof run>, RunAnswer>(true),
    same<z.output<typeof backfill>, BackfillAnswer>(true),
    same<z.output<typeof runAttempt>, RunAttemptAnswer>(true),
    same<z.output<typeof explanation>, RunExplanationAnswer>(true),
    same<z.output<typeof runEvent>, RunEventAnswer>(true),
  ]).not.toContain(false);
});
