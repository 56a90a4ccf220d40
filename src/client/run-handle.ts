/** A run in the hands of whoever started it. */
import { PenstockError, type ErrorCode, errorTable } from '../domain/errors.ts';
import { isFinal } from '../domain/run-states.ts';
import type { RunAnswer } from './answers.ts';
import type { Send } from './request.ts';

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Called with the run each time that it was looked at. */
  readonly onLook?: (run: RunAnswer) => void;
  /** Seconds between two looks at most, 30 by default; the end is seen at once whatever this is. */
  readonly lookEveryS?: number;
}

export interface RunHandle {
  readonly id: string;
  /** The run as it is now. */
  fetch(): Promise<RunAnswer>;
  /** Rows, bytes and batches committed so far. */
  progress(): Promise<RunAnswer['progress']>;
  /** The run once it is final, however it ended. */
  wait(options?: WaitOptions): Promise<RunAnswer>;
  /** The run once it has succeeded. Throws its error when it failed, RUN_STATE when it was cancelled. */
  result(options?: WaitOptions): Promise<RunAnswer>;
  /** Asks it to stop; `wait` says when it has. */
  cancel(): Promise<RunAnswer>;
  pause(): Promise<RunAnswer>;
  resume(): Promise<RunAnswer>;
}

const defaultLookEveryS = 30;

/** A handle of a run that is there. */
export function createRunHandle(send: Send, id: string): RunHandle {
  const path = `/v1/runs/${encodeURIComponent(id)}`;
  const fetchRun = (): Promise<RunAnswer> => send<RunAnswer>('GET', path);
  const wait = async ({
    signal,
    onLook,
    lookEveryS = defaultLookEveryS,
  }: WaitOptions = {}): Promise<RunAnswer> => {
    for (;;) {
      const run = await send<RunAnswer>('GET', path, { waitS: lookEveryS, signal });
      onLook?.(run);
      if (isFinal(run.status)) return run;
    }
  };
  return {
    id,
    fetch: fetchRun,
    progress: async () => (await fetchRun()).progress,
    wait,
    result: async (options) => succeeded(await wait(options)),
    cancel: () => send<RunAnswer>('POST', `${path}/cancel`),
    pause: () => send<RunAnswer>('POST', `${path}/pause`),
    resume: () => send<RunAnswer>('POST', `${path}/resume`),
  };
}

function succeeded(run: RunAnswer): RunAnswer {
  if (run.status === 'succeeded') return run;
  const { id: runId, error } = run;
  if (run.status === 'cancelled' || error === null)
    throw new PenstockError(
      'RUN_STATE',
      `run ${runId} is ${run.status} (${run.endReason ?? 'no reason given'})`,
      {
        meta: { runId },
      },
    );
  const code = Object.hasOwn(errorTable, error.code) ? (error.code as ErrorCode) : 'INTERNAL';
  throw new PenstockError(code, error.message ?? error.code, { meta: { runId } });
}
