/** The numbers about the whole installation that metrics show. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { countOpenRuns, fetchLastPasses } from '../../../src/storage/installation-state.ts';
import { createControlDatabase, type ControlDatabase } from '../../support/control-database.ts';

let database: ControlDatabase;
beforeAll(async () => {
  database = await createControlDatabase();
});
afterAll(() => database.drop());

test('a question for the metrics ends by its own time limit, before that of locks', async () => {
  const holder = await database.pool.connect();
  try {
    await holder.query('begin; lock table penstock.run, penstock.maintenance in access exclusive mode');
    const cancelled = { code: '57014' };
    await Promise.all([
      expect(countOpenRuns(database.pool)).rejects.toMatchObject(cancelled),
      expect(fetchLastPasses(database.pool)).rejects.toMatchObject(cancelled),
    ]);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
});
