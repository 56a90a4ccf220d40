/** What `penstock skip` and `penstock move` share: the due time that is meant, and how it is shown. */
import type { SyncAnswer } from '../client/answers.ts';
import type { CommandOption } from './command.ts';

export const undoOption: CommandOption = { flag: '--undo', doc: 'takes it back' };
export const nominalOption: CommandOption = {
  flag: '--nominal-at <time>',
  doc: 'the due time that is meant; refused when another one is next by now',
};

/** One line for people. */
export function describeNext({ name, nextNominalAt, nextDueAt, nextIsSkipped }: SyncAnswer): string {
  const fate = nextIsSkipped
    ? 'is recorded and not run'
    : nextDueAt === nextNominalAt
      ? 'runs'
      : `starts at ${nextDueAt}`;
  return `sync ${name}: the due time of ${nextNominalAt} ${fate}`;
}
