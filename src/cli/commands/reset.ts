/** `penstock reset <sync>`: the next run reads everything again; or the rows of an unfinished append are accepted. */
import type { ResetPreviewAnswer } from '../../client/index.ts';
import { PenstockError } from '../../domain/errors.ts';
import { cursorIsFor, type ResetWay } from '../../domain/reset-ways.ts';
import type { Command } from '../command.ts';
import { clientConfig, connectClient, tenantOption } from '../connect-client.ts';
import { print, printJson } from '../show.ts';

export const command: Command = {
  args: [{ name: '<sync>', doc: 'id or name' }],
  options: [
    { flag: '--dry-run', doc: 'only show what it would meet: unfinished rows, and tables with their rows' },
    { flag: '--delete-rows', doc: 'also empty the target table' },
    { flag: '--accept', doc: 'keep the rows of an unfinished load as they are, instead of resetting' },
    {
      flag: '--keep-cursor',
      doc: `read on from the cursor although its ${cursorIsFor} has changed`,
    },
    tenantOption,
  ],
  config: clientConfig,
  run: async (input) => {
    const { client, tenantId } = connectClient(input);
    const [sync, of] = [input.args[0] as string, tenantId === undefined ? {} : { tenantId }];
    const is = (option: string): boolean => input.options[option] === true;
    const how = is('accept') ? 'accept' : is('keepCursor') ? 'keep' : 'reset';
    const asked = ['accept', 'keepCursor', 'deleteRows'].filter(is);
    if (asked.length > 1)
      throw new PenstockError(
        'CONFIG',
        '--accept keeps the rows, --keep-cursor the cursor, and --delete-rows deletes: give one',
      );
    const preview = is('dryRun');
    const done = preview
      ? await client.syncs.describeReset(sync, of)
      : await client.syncs.reset(sync, { how, deleteRows: is('deleteRows'), ...of });
    if (input.json) printJson(done);
    else print('how' in done ? `${done.id}: ${outcomes[done.how]}` : describePreview(done));
  },
};

const outcomes: Readonly<Record<ResetWay, string>> = {
  reset: 'its next run reads everything again',
  accept: 'its rows are accepted',
  keep: 'its next run reads on from the cursor',
};

function describePreview({ id, unfinished, cursorMovedAt, tables }: ResetPreviewAnswer): string {
  const load = unfinished
    ? `${unfinished.loadId}, ${unfinished.mode}, ${unfinished.committed.read} rows${unfinished.staged ? ', none of them visible yet' : ''}`
    : 'none';
  return [
    id,
    `unfinished load: ${load}`,
    `cursor: ${cursorMovedAt === null ? 'none' : `moved at ${cursorMovedAt}`}`,
    ...tables.map(
      ({ table, rows, shared }) => `table ${table}: ${rows} rows${shared ? ', shared with other syncs' : ''}`,
    ),
  ].join('\n');
}
