/** Why a batch could not be written, where only a look at the target tells. The look is another connection's. */
import type { PenstockError } from '../../domain/errors.ts';
import { classifyDestinationError } from './classify-error.ts';
import { inTransaction, type DestinationContext } from './destination-session.ts';
import type { LoadRow } from './load-row.ts';
import { requireTarget } from './require-target.ts';
import { findHolder, targetLocked } from './target-locked.ts';

/** Rejects instead where the target is not the one that the load was opened for: TARGET_CHANGED, SCHEMA_CHANGED. */
export async function explainWriteError(
  context: DestinationContext,
  load: LoadRow,
  doing: string,
  error: unknown,
): Promise<PenstockError> {
  const classified = classifyDestinationError(error, doing);
  // Bytes meant for other columns are refused like bad rows, or by the checkpoint.
  if (['TARGET_CHANGED', 'TARGET_MISMATCH', 'VALUE_REFUSED'].includes(classified.code))
    await inTransaction(context, 'Looking at the target', (sql) => requireTarget(sql, load));
  const isLocked = classified.meta?.['sqlstate'] === '55P03';
  return (isLocked && (await findLocker(context, load))) || classified;
}

/** TARGET_LOCKED with who keeps the target from being written, if that can be told. */
async function findLocker(context: DestinationContext, load: LoadRow): Promise<PenstockError | undefined> {
  const { target } = load.plan;
  const asker = { isWriting: true, load: load.id };
  const holder = await inTransaction(context, 'Looking at the target', (sql) =>
    findHolder(sql, target, asker),
  ).catch(() => undefined);
  return holder && targetLocked(target, 'written', holder);
}
