/** `penstock rejects <sync>`: the rows that its target has refused; as CSV, page by page; or tried again. */
import type { RejectAnswer } from '../../client/answers.ts';
import type { Command } from '../command.ts';
import { clientConfig, connectClient, tenantOption } from '../connect-client.ts';
import { csvLine } from '../csv.ts';
import { exitCodes } from '../exit-codes.ts';
import { print, printJson, tableOf } from '../show.ts';

const pageSize = 200;

export const command: Command = {
  args: [{ name: '<sync>', doc: 'id or name' }],
  options: [
    { flag: '--csv', doc: 'all that is known of them, as CSV' },
    { flag: '--settled', doc: 'also those that a later load has settled' },
    { flag: '--retry', doc: 'queue a run that tries them again' },
    tenantOption,
  ],
  config: clientConfig,
  run: async (input) => {
    const { client, tenantId } = connectClient(input);
    const ref = input.args[0] as string;
    if (input.options['retry'] === true) {
      const run = await client.syncs.retryRejects(ref, { tenantId });
      if (input.json) printJson(run);
      else print(run.id);
      return;
    }
    const isCsv = input.options['csv'] === true;
    // Who has read enough, as `head` has, is not to be told anything.
    process.stdout.once('error', () => process.exit(exitCodes.done));
    if (isCsv) await write(csvLine(csvNames));
    let cursor: string | undefined;
    do {
      const settled = input.options['settled'] === true;
      const page = await client.syncs.rejects(ref, { tenantId, limit: pageSize, cursor, settled });
      if (isCsv) await write(page.items.map((reject) => csvLine(csvValues(reject))).join(''));
      else if (input.json) printJson(page);
      else print(page.items.length === 0 ? 'no rejects' : tableOf(page.items.map(rowOf)));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  },
};

/** Resolves when it is read, so that no more than a page waits in memory. */
const write = (text: string): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.write(text, () => resolve());
  });

const csvNames =
  'state,key,rows,sqlstate,column,constraint,cause,attempts,first_seen_at,last_seen_at,settled_at,values'.split(
    ',',
  );

const csvValues = (reject: RejectAnswer): (string | number | null)[] => [
  reject.state,
  reject.key && JSON.stringify(reject.key),
  reject.rows,
  reject.sqlstate,
  reject.column,
  reject.constraint,
  reject.cause,
  reject.attempts,
  reject.firstSeenAt,
  reject.lastSeenAt,
  reject.settledAt,
  reject.values &&
    JSON.stringify(Object.fromEntries(reject.columns.map((name, i) => [name, reject.values![i]]))),
];

const rowOf = (reject: RejectAnswer) => ({
  key: reject.key?.map((value) => value ?? 'NULL').join(', ') ?? '',
  rows: reject.rows,
  state: reject.state,
  sqlstate: reject.sqlstate,
  place: reject.constraint ?? reject.column ?? '',
  attempts: reject.attempts,
  'last seen': reject.lastSeenAt,
  cause: reject.cause.slice(0, 120),
});
