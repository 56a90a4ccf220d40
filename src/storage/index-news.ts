/**
 * What the index must hear after a commit. The rows are the truth: news that do not arrive are found by the
 * dispatcher's sweep seconds later, so a dead Redis fails no request.
 */
import { hasCode } from '../domain/errors.ts';
import type { DueEntry, Limits, RunOffer, ScheduleAnnouncer } from '../ports/schedule-index.ts';
import type { RunId } from '../domain/ids.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface IndexNews {
  due?: readonly DueEntry[];
  offered?: readonly RunOffer[];
  released?: readonly RunId[];
  limits?: Partial<Limits>;
}

export type TellIndex = (news: IndexNews) => Promise<void>;

/** Passes news on and never throws. */
export function createTellIndex(announcer: ScheduleAnnouncer, logger: Logger): TellIndex {
  return async ({ due = [], offered = [], released = [], limits }) => {
    try {
      if (due.length > 0) await announcer.publishDue(due);
      if (offered.length > 0) await announcer.offerRuns(offered);
      if (released.length > 0) await announcer.releaseRuns(released);
      if (limits) await announcer.saveLimits(limits);
    } catch (err) {
      // That the index is away is said once, by its connection.
      const level = hasCode(err, 'UNAVAILABLE') ? 'debug' : 'warn';
      logger[level]({ err }, 'the index did not hear of a change; the sweep will find it');
    }
  };
}
