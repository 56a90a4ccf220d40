/** An attempt that waits for its pace holds nothing open, is no stalled one, and can be taken over. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { CopyProgress } from '../../../src/copy/copy-partition.ts';
import { ReadPace } from '../../../src/copy/read-pace.ts';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import type { ReadRequest } from '../../../src/ports/source.ts';
import { createPipeRoom, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

const query = 'select * from wide';
/** Several slices of rows, so that the source is held up as well. */
const rows = 8_000;

let room: PipeRoom;
let run: RunId;
let load: OpenLoad;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query(
    `create table wide as select id, repeat(id::text, 60) as filler from generate_series(1, ${rows}) id;
     alter table wide add primary key (id); analyze wide`,
  );
});
afterAll(() => room.close());
beforeEach(() => room.to.query('drop table if exists target'));

/** A share that covers at most so many rows, and no more until it is opened; `held`: those that it let pass before it held. */
function holdingAfter(covered: number) {
  const pace = new ReadPace();
  pace.renew({ rowsPerSecond: 4_000, bytesPerSecond: null }, 0, 0);
  let left = covered;
  let held: number | undefined;
  pace.take = (amount) => {
    // Rows come in parts as the network brings them.
    if (amount.rows > left) {
      held ??= covered - left;
      return Infinity;
    }
    left -= amount.rows;
    return 0;
  };
  return { pace, held: () => held, open: () => void (left = Infinity) };
}

async function prepare(reader: ReadRequest['reader']): Promise<void> {
  const sync = room.sync({ query, key: ['id'] }, reader);
  run = newId('run');
  load = await room.prepare(sync, run);
}

/** Begins to copy with a share for 1,000 rows at most, in batches that end soon; waits until `passed` rows are committed. */
async function copySome(rowTimeoutMs = 30_000) {
  const { pace, held, open } = holdingAfter(1_000);
  let committed: CopyProgress = { rows: 0, batches: 0, bytes: 0 };
  const limits = { rows: 100_000, bytes: 1 << 24, timeMs: 50 };
  const copying = room.attempt(run, load, {
    pace,
    limits,
    rowTimeoutMs,
    onProgress: (progress) => (committed = progress),
  });
  await waitUntil('what its share covers is committed', () => committed.rows === held());
  return { copying, open, passed: held()! };
}

const expectAll = async () =>
  expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));

describe.each(['copy', 'cursor'] as const)('an attempt that reads by %s and waits for its pace', (reader) => {
  test('has no transaction open at the destination, and outlives the row time-out', async () => {
    await prepare(reader);
    const rowTimeoutMs = 2_000;
    const { copying, open } = await copySome(rowTimeoutMs);
    const { rows: open_ } = await room.to.query(
      `select from pg_stat_activity where application_name like 'penstock:%' and xact_start is not null
         and datname = current_database()`,
    );
    expect(open_).toEqual([]);
    await waitUntil('the source has been held up for longer than the row time-out', async () => {
      const { rowCount } = await room.from.query(
        `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
           and clock_timestamp() - query_start > $1 * interval '1.5 ms'`,
        [rowTimeoutMs],
      );
      return rowCount === 1;
    });
    open();
    expect(await copying).toMatchObject({ outcome: 'finished', rows });
    await expectAll();
  });

  test('is taken over exactly: what it goes on with afterwards is not written', async () => {
    await prepare(reader);
    const { copying, open, passed } = await copySome();
    expect(passed).toBeGreaterThan(0);
    const successor = await room.attempt(run, load);
    expect(successor).toMatchObject({ outcome: 'finished', rows: rows - passed });
    open();
    expect(await copying).toMatchObject({ outcome: 'fenced', rows: passed });
    await expectAll();
  });
});
