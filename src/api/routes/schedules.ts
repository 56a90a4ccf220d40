/** What a schedule means, before a sync has it. */
import type { ApiApp } from '../api-app.ts';
import { answerFireTimes, checkScheduleFirst } from '../sync-answer.ts';
import { fireTimes, previewBody } from '../sync-schema.ts';
import { checkSchedule } from '../../domain/check-schedule.ts';

export function addScheduleRoutes(app: ApiApp): void {
  app.post(
    '/v1/schedules/preview',
    {
      config: { access: 'viewer' },
      preValidation: checkScheduleFirst,
      schema: {
        tags: ['syncs'],
        summary: 'The next times of a schedule that no sync has yet',
        description: 'Found by the function that the dispatcher asks. Writes nothing.',
        body: previewBody,
        response: { 200: fireTimes },
      },
    },
    ({ body: { schedule, from, count } }) => {
      checkSchedule(schedule);
      return answerFireTimes(schedule, from === undefined ? Date.now() : Date.parse(from), count);
    },
  );
}
