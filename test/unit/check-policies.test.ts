import { expect, test } from '@jest/globals';
import { checkSyncSpec } from '../../src/domain/check-sync-spec.ts';
import { syncSpecSchema } from '../../src/domain/sync-spec.ts';

/** Checks a spec with these members; undefined when nothing is wrong with it. */
function refusalOf(over: Record<string, unknown>): unknown {
  const spec = syncSpecSchema.parse({
    name: 'subscribers',
    source: { connection: 'warehouse', query: 'select id from users' },
    destination: { connection: 'app', table: 'users' },
    mode: 'append',
    ...over,
  });
  try {
    checkSyncSpec(spec);
    return undefined;
  } catch (error) {
    return error;
  }
}

test.each(['skip', 'buffer_one'])(
  'catch-up of all due times is refused with overlap %s, which skips them',
  (overlap) => {
    const all = { catchUp: { policy: 'all' } };
    expect(refusalOf({ ...all, overlap })).toMatchObject({
      code: 'BAD_REQUEST',
      pointer: '/catchUp/policy',
      message: expect.stringContaining('use overlap buffer_all'),
    });
    expect(refusalOf({ ...all, overlap: 'buffer_all' })).toBeUndefined();
    expect(refusalOf({ catchUp: { policy: 'none' }, overlap })).toBeUndefined();
  },
);

test('skipIfUnchanged is refused with a cursor, which may have left rows for later', () => {
  const skipIfUnchanged = 'select max(id) from users';
  expect(refusalOf({ skipIfUnchanged })).toBeUndefined();
  expect(refusalOf({ skipIfUnchanged, mode: 'upsert', key: ['id'], cursor: { column: 'at' } })).toMatchObject(
    {
      code: 'BAD_REQUEST',
      pointer: '/skipIfUnchanged',
    },
  );
});
