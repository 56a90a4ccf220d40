/**
 * Admit: starts queued runs when there is room, and ignores schedules. A place and a ticket from the index, then the
 * rows' word, then the engine; a crash between any two leaves a ticket that runs out and is handed to somebody else.
 */
import { codeOf, hasCode } from '../domain/errors.ts';
import type { RunId } from '../domain/ids.ts';
import type { AdmissionIndex, Filled, Ticket } from '../ports/schedule-index.ts';
import type { ScheduleStore, StartVerdict } from '../ports/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Launcher, Start } from './launch.ts';

export interface AdmitDeps {
  readonly index: AdmissionIndex;
  readonly store: Pick<ScheduleStore, 'startRuns'>;
  readonly launcher: Pick<Launcher, 'room' | 'isLow' | 'launch'>;
  readonly log: Logger;
}

export interface Admitted {
  readonly filled: Filled;
  /** More may be waiting: admit again at once. */
  readonly isMore: boolean;
  /** A row was held by somebody: admit again soon, not at once. */
  readonly wasLocked: boolean;
  /** Ms until a run that waits for a time goes on; null: none does. */
  readonly nextInMs: number | null;
}

/** Runs a call. */
const admitSize = 250;
/** How long a run waits whose rows cannot be changed. */
const backOffMs = 30_000;

/** Admits as many runs as there are places and starts to spare, and hands them to the launcher. */
export async function admit({ index, store, launcher, log }: AdmitDeps, cap: number): Promise<Admitted> {
  const limit = Math.min(admitSize, launcher.room());
  if (limit === 0) return { filled: 'all', isMore: false, wasLocked: false, nextInMs: null };
  const { tickets, ...admission } = await index.admit({ limit, cap });
  if (tickets.length === 0) return { ...admission, wasLocked: false };
  const tokens = new Map(tickets.map((ticket) => [ticket.runId, ticket]));
  const verdicts = await startEach(
    store,
    tickets.map((ticket) => ticket.runId),
    log,
  );
  launcher.launch(startsOf(verdicts, tokens));
  await answerTickets(index, verdicts, tokens);
  const wasLocked = verdicts.some((v) => v.verdict === 'locked');
  return { ...admission, isMore: admission.isMore && !wasLocked && launcher.isLow(), wasLocked };
}

/** What the rows let start, or go on after a pause. */
export const startsOf = (
  verdicts: readonly StartVerdict[],
  tickets: ReadonlyMap<RunId, Ticket> = new Map(),
): Start[] =>
  verdicts.flatMap((v) =>
    v.verdict === 'start' || v.verdict === 'go_on'
      ? [{ run: v.run, ticket: tickets.get(v.runId), goesOn: v.verdict === 'go_on' }]
      : [],
  );

/** Asks the rows; when one makes the batch throw, one by one, so that it holds neither the others nor a place. */
export async function startEach(
  store: AdmitDeps['store'],
  runIds: readonly RunId[],
  log: Logger,
): Promise<StartVerdict[]> {
  try {
    return await store.startRuns(runIds);
  } catch (error) {
    if (hasCode(error, 'UNAVAILABLE')) throw error;
    if (runIds.length === 1) {
      const [runId] = runIds as [RunId];
      log.error({ run: runId, error, code: codeOf(error) }, 'admit: a run cannot be started');
      return [{ runId, verdict: 'wait', reason: 'back_off', inMs: backOffMs }];
    }
    const verdicts: StartVerdict[] = [];
    for (const runId of runIds) verdicts.push(...(await startEach(store, [runId], log)));
    return verdicts;
  }
}

/** Runs that start keep their tickets until their workflow is there; the others give them back or end them. */
async function answerTickets(
  index: AdmissionIndex,
  verdicts: readonly StartVerdict[],
  tokens: ReadonlyMap<RunId, Ticket>,
): Promise<void> {
  const ticketOf = ({ runId }: StartVerdict): Ticket => tokens.get(runId)!;
  const returned = verdicts.filter(({ verdict }) => !['start', 'go_on', 'at_work'].includes(verdict));
  await Promise.all([
    index.confirmStarts(verdicts.filter((v) => v.verdict === 'at_work').map(ticketOf)),
    index.returnTickets(returned.map((v) => ({ ...ticketOf(v), next: nextOf(v) }))),
  ]);
}

function nextOf(verdict: StartVerdict): 'wait' | 'drop' | number {
  if (verdict.verdict === 'locked') return 'wait';
  return verdict.verdict === 'wait' && verdict.inMs !== null ? Math.max(0, verdict.inMs) : 'drop';
}
