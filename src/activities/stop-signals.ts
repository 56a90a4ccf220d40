/**
 * Why an attempt should stop, and how. Softly: the batch in hand is committed first (a drain, a pause, a cancellation,
 * a pause from the Web UI). Hard: nothing more may be committed, because the attempt has been replaced or its workflow
 * is gone, or because stopping softly takes too long.
 */
import type { Context } from '@temporalio/activity';

export interface StopSignals {
  /** Aborted when nothing more may be committed. */
  readonly signal: AbortSignal;
  /** Whether to stop after the batch in hand; never together with `signal`, after which it may not be committed. */
  isStopping(): boolean;
  /** The pause from the Web UI or CLI holds only if the activity ends as cancelled. */
  isPausedByOperator(): boolean;
  dispose(): void;
}

/** A batch ends within 5 s; one that has not after this long waits for a lock or a dead connection. */
const softStopMs = 20_000;

type AttemptContext = Pick<Context, 'cancellationSignal' | 'cancellationDetails'>;

/** Watches the attempt's cancellation and the process's drain. `onStop` is told once: softly, or hard. */
export function watchStop(
  context: AttemptContext,
  drain: AbortSignal,
  onStop: (how: 'softly' | 'hard') => void = () => undefined,
): StopSignals {
  const hard = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const abort = () => hard.abort(context.cancellationSignal.reason);
  const onDrain = () => onStop('softly');
  const onCancelled = () => {
    const details = context.cancellationDetails;
    const softly = details?.cancelRequested === true || details?.paused === true;
    const replaced = details?.notFound === true || details?.timedOut === true || details?.reset === true;
    onStop(softly && !replaced ? 'softly' : 'hard');
    if (softly && !replaced) timer = setTimeout(abort, softStopMs);
    else abort();
  };
  if (context.cancellationSignal.aborted) onCancelled();
  else context.cancellationSignal.addEventListener('abort', onCancelled, { once: true });
  if (drain.aborted) onDrain();
  else drain.addEventListener('abort', onDrain, { once: true });
  return {
    signal: hard.signal,
    isStopping: () => !hard.signal.aborted && (drain.aborted || context.cancellationSignal.aborted),
    isPausedByOperator: () =>
      context.cancellationDetails?.paused === true && !context.cancellationDetails.cancelRequested,
    dispose: () => {
      clearTimeout(timer);
      context.cancellationSignal.removeEventListener('abort', onCancelled);
      drain.removeEventListener('abort', onDrain);
    },
  };
}
