/** The end of a load that a test has copied attempt by attempt, and the proof that nothing shows of what it went through. */
import { expect } from '@jest/globals';
import type { RunId } from '../../../src/domain/ids.ts';
import type { Destination, OpenLoad } from '../../../src/ports/destination.ts';
import { execute } from '../../support/execute.ts';
import { rowsAsText, urlOf, type PipeRoom } from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { expectWholeDestination } from './whole-destination.ts';

interface Copied {
  readonly run: RunId;
  readonly load: OpenLoad;
  readonly query: string;
  /** The room's, unless it is reached another way. */
  readonly destination?: Destination;
}

/** Finishes the load and its run; the table `target` has the query's rows once, and nothing is left behind. */
export async function expectExact(room: PipeRoom, copied: Copied): Promise<void> {
  const { run, load, query, destination = room.destination } = copied;
  const { receipt } = await destination.finish({ run, load: load.loadId });
  expect(await destination.closeRun(run)).toMatchObject({ succeeded: true, receipt });
  const wanted = await rowsAsText(room.from, query);
  expect(await rowsAsText(room.to, 'select * from target')).toEqual(wanted);
  expect(receipt.read).toBe(wanted.length);
  const url = urlOf(room.destinationAccess);
  await expectWholeDestination(url);
  await waitUntil('the end of all transactions', async () => {
    const sql = `select from pg_stat_activity where application_name like 'penstock:%' and datname = current_database()`;
    return (await execute(url, sql)).length === 0;
  });
}
