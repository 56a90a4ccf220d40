/** The package's export `penstock-sync/client`: a typed client of the HTTP API for producers. */
export * from './answers.ts';
export * from './client.ts';
export type { ClientOptions } from './request.ts';
export type { RunHandle, WaitOptions } from './run-handle.ts';
export { PenstockError, hasCode, type ErrorCode } from '../domain/errors.ts';
export type { SyncPlan } from '../domain/sync-plan.ts';
export type { VerifyReport } from '../domain/verify-report.ts';
export type { SyncSpec, SyncSpecInput } from '../domain/sync-spec.ts';
