/** What every source behind the port must do. Called by a test file of each: the fake, and PostgreSQL by both readers. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { boundsOf } from '../../src/copy/plan-partitions.ts';
import { encodeRow } from '../../src/copy/encode-rows.ts';
import type { PlannedCursor, ReadRequest, Source, SourceRead } from '../../src/ports/source.ts';
import type { FakeRow } from '../support/fake-source.ts';

export interface SourceFixture {
  readonly source: Source;
  /** Reads the rows of `contractTable`, in any order. */
  readonly query: string;
  /** The same, of the rows whose column is no greater than the placeholder's value. */
  readonly queryUpTo: (column: string, placeholder: string) => string;
  readonly reader: ReadRequest['reader'];
  end(): Promise<void>;
}

/** Integer key, integer cursor that is NULL in each tenth row, text with everything to escape, a time a minute apart. */
export const contractRows: readonly FakeRow[] = Array.from({ length: 500 }, (_, i) => [
  String(i - 250),
  i % 10 === 0 ? null : String(i % 97),
  i % 7 === 0 ? null : `note\t${i}\n\\N "é😀"`,
  new Date(Date.UTC(2024, 0, 1, 0, i)).toISOString().slice(0, 19).replace('T', ' '),
]);

export const contractColumns = [
  { name: 'id', typeOid: 23, typeName: 'integer' },
  { name: 'seen', typeOid: 23, typeName: 'integer' },
  { name: 'note', typeOid: 25, typeName: 'text' },
  { name: 'at', typeOid: 1114, typeName: 'timestamp without time zone' },
];

/** Creates `contract_rows` and fills it. */
export const contractTable = `create table contract_rows (
  id integer primary key, seen integer, note text, at timestamp not null)`;

export function describeSource(name: string, createFixture: () => Promise<SourceFixture>): void {
  describe(`the source ${name}`, () => {
    let fixture: SourceFixture;
    let source: Source;
    beforeAll(async () => {
      fixture = await createFixture();
      source = fixture.source;
    });
    afterAll(() => fixture.end());

    const cursor: PlannedCursor = { column: 'seen', lookbackMs: 0, lagMs: 30_000, nulls: 'read' };
    const request = (over: Partial<ReadRequest> = {}): ReadRequest => ({
      query: fixture.query,
      columns: contractColumns,
      format: 'text',
      reader: fixture.reader,
      key: ['id'],
      uniqueKey: true,
      after: null,
      bounds: {},
      cursor: null,
      window: { low: null, high: null },
      rowTimeoutMs: 30_000,
      signal: new AbortController().signal,
      ...over,
    });

    const drain = async (read: SourceRead): Promise<{ text: string; rows: number }> => {
      const seen = { text: '', rows: 0 };
      for (let slice = await read.next(); slice; slice = await read.next()) {
        seen.text += slice.bytes.toString('utf8');
        seen.rows += slice.rows;
        slice.release();
        slice.release();
      }
      await read.close();
      return seen;
    };
    const expectRows = async (over: Partial<ReadRequest>, rows: readonly FakeRow[]): Promise<void> => {
      const seen = await drain(await source.read(request(over)));
      expect(seen.text).toBe(rows.map(encodeRow).join(''));
      expect(seen.rows).toBe(rows.length);
    };

    test('says which version it is', async () => {
      expect((await source.check()).version).not.toBe('');
    });

    test('describes the query without running it', async () => {
      const probe = await source.probe({ query: fixture.query, key: ['id'], cursor: 'seen' });
      expect(probe.columns).toEqual(contractColumns);
      expect(probe.resumable).toEqual({ possible: true, uniqueKey: true });
      expect(probe.identity).toBe(
        (await source.probe({ query: fixture.query, key: [], cursor: null })).identity,
      );
    });

    test.each([
      ['key', { key: ['nothing'], cursor: null }],
      ['cursor', { key: ['id'], cursor: 'nothing' }],
    ])('refuses a %s that is not in the result', async (_, names) => {
      const probe = source.probe({ query: fixture.query, ...names });
      await expect(probe).rejects.toMatchObject({ code: 'NOT_RESUMABLE' });
    });

    test('gives every row once, in key order, with its values as they are', () =>
      expectRows({}, contractRows));

    test('goes on after any key: where it was cut makes no difference', async () => {
      for (const cut of [0, 1, 63, 64, 250, 498, 499])
        await expectRows({ after: [contractRows[cut]![0]!] }, contractRows.slice(cut + 1));
    });

    test('gives the rows of a window: above low, up to and with high, and those without a cursor if asked', async () => {
      const inWindow = (nulls: boolean) =>
        contractRows.filter(([, seen]) => (seen === null ? nulls : Number(seen) > 20 && Number(seen) <= 40));
      const window = { low: '20', high: '40' };
      await expectRows({ cursor, window }, inWindow(true));
      await expectRows({ cursor: { ...cursor, nulls: 'refuse' }, window }, inWindow(false));
      await expectRows(
        { cursor, window, after: ['0'] },
        inWindow(true).filter(([id]) => Number(id) > 0),
      );
    });

    test('reads again what the window says: rows of a key, those above a value of their own', async () => {
      const again = [
        { key: { id: '-243' }, low: '5' },
        { key: { id: '-242' }, low: '15' },
        { key: { id: '-241', seen: '9' }, low: null },
        { key: { id: '-239', seen: '9' }, low: null },
      ];
      const kept = contractRows.filter(([, seen]) => Number(seen) > 20 && Number(seen) <= 40);
      await expectRows({ cursor: { ...cursor, nulls: 'refuse' }, window: { low: '20', high: '40', again } }, [
        contractRows[7]!,
        contractRows[9]!,
        ...kept,
      ]);
    });

    test('looks back from low by as much as the plan says', () =>
      expectRows(
        {
          cursor: { column: 'at', lookbackMs: 10 * 60_000, lagMs: 30_000, nulls: 'refuse' },
          window: { low: contractRows[100]![3]!, high: contractRows[200]![3]! },
        },
        contractRows.slice(91, 201),
      ));

    describe('a key that may be NULL', () => {
      const bySeen = { key: ['seen', 'id'], uniqueKey: false };
      const withNull = contractRows.filter(([, seen]) => seen === null);
      const without = contractRows
        .filter(([, seen]) => seen !== null)
        .toSorted((a, b) => Number(a[1]) - Number(b[1]) || Number(a[0]) - Number(b[0]));

      test('is a partition of its own: the others are read without such rows, and it is resumed as they are', async () => {
        await expectRows({ ...bySeen, bounds: { nulls: 'none' } }, without);
        await expectRows({ ...bySeen, bounds: { nulls: 'only' } }, withNull);
        const cut = without[77]!;
        await expectRows(
          { ...bySeen, bounds: { nulls: 'none' }, after: [cut[1]!, cut[0]!] },
          without.slice(78),
        );
        await expectRows({ ...bySeen, bounds: { nulls: 'only' }, after: [null, '0'] }, withNull.slice(26));
      });

      test('is never passed over by an attempt that goes on after a key: it is refused', async () => {
        const read = source.read(request({ ...bySeen, after: ['96', '249'] }));
        await expect(read.then(drain)).rejects.toMatchObject({ code: 'KEY_NULL' });
      });
    });

    describe('columns that are mapped', () => {
      const columns = { rename: { id: 'number', seen: 'since' }, hash: ['note'], cast: { at: 'text' } };
      const probe = (over: object = {}) =>
        source.probe({ query: fixture.query, key: ['number'], cursor: 'since', columns, ...over });

      test('arrive as they are mapped; what an earlier probe found of them says the same', async () => {
        const omitting = { ...columns, rename: { id: 'number' }, omit: ['seen'] };
        const found = await probe({ cursor: null, columns: omitting });
        expect(found.columns).toEqual([
          { name: 'number', typeOid: 23, typeName: 'integer' },
          { name: 'note', typeOid: 25, typeName: 'text' },
          { name: 'at', typeOid: 25, typeName: 'text' },
        ]);
        const { mapping } = found;
        expect((await probe({ cursor: null, columns: undefined, mapping })).columns).toEqual(found.columns);
        const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
        const arriving = contractRows.map(([id, , note, at]) => [id!, note && sha256(note), at!] as FakeRow);
        await expectRows({ columns: found.columns, mapping, key: ['number'] }, arriving);
      });

      test('are named as they arrive by the key and by the cursor', async () => {
        const found = await probe();
        const { mapping } = found;
        const renamed = { ...cursor, column: 'since' };
        const { signal } = new AbortController();
        const asked = { query: fixture.query, columns: found.columns, mapping, cursor: renamed, signal };
        expect(await source.fetchHigh({ ...asked, low: null })).toBe('96');
        const window = { low: '20', high: '40' };
        const read = await source.read(request({ ...asked, key: ['number'], window }));
        const inWindow = contractRows.filter(
          ([, at]) => at === null || (Number(at) > 20 && Number(at) <= 40),
        );
        expect((await drain(read)).rows).toBe(inWindow.length);
      });

      test('that the query does not have are refused', () =>
        expect(probe({ columns: { omit: ['nothing'] } })).rejects.toMatchObject({
          code: 'BAD_REQUEST',
          pointer: '/columns/omit/0',
        }));
    });

    describe('placeholders', () => {
      test('of the run’s time stand for the one that the load was planned with', async () => {
        const query = fixture.queryUpTo('at', 'run_time');
        expect((await source.probe({ query, key: ['id'], cursor: null })).now).toMatch(/^\d{4}-\d\d-\d\d /);
        await expectRows({ query, runTime: '2024-01-01 02:00:00+00' }, contractRows.slice(0, 121));
      });

      test.each(['cursor', 'window.from'])('{{%s}} stands for the low of the window', async (name) => {
        const query = fixture.queryUpTo('id', name);
        expect((await source.probe({ query, key: ['id'], cursor: 'seen' })).columns).toEqual(contractColumns);
        await expectRows(
          { query, cursor: { ...cursor, nulls: 'refuse' }, window: { low: '20', high: '40' } },
          contractRows.filter(([id, seen]) => Number(id) <= 20 && Number(seen) > 20 && Number(seen) <= 40),
        );
      });

      test('{{window.to}} stands for the high of the window, and for the greatest value while that is looked for', async () => {
        const query = fixture.queryUpTo('id', 'window.to');
        const { signal } = new AbortController();
        expect(await source.fetchHigh({ query, columns: contractColumns, cursor, low: null, signal })).toBe(
          '96',
        );
        await expectRows(
          { query, cursor: { ...cursor, nulls: 'refuse' }, window: { low: null, high: '40' } },
          contractRows.filter(([id, seen]) => Number(id) <= 40 && seen !== null && Number(seen) <= 40),
        );
      });
    });

    test('splits the result by key: the ranges, one after the other, are all of it', async () => {
      const split = (minRows: number) =>
        source.splitKey({
          query: fixture.query,
          columns: contractColumns,
          key: ['id'],
          cursor: null,
          window: { low: null, high: null },
          ranges: 4,
          minRows,
          signal: new AbortController().signal,
        });
      expect(await split(501)).toEqual([]);
      const splits = await split(50);
      expect(splits).toHaveLength(3);
      const parts: string[] = [];
      for (const bounds of boundsOf(splits, false))
        parts.push((await drain(await source.read(request({ bounds })))).text);
      expect(parts.every((part) => part.length > 0)).toBe(true);
      expect(parts.join('')).toBe(contractRows.map(encodeRow).join(''));
    });

    test('an empty window has an end as well', () =>
      expectRows({ cursor: { ...cursor, nulls: 'refuse' }, window: { low: null, high: null } }, []));

    test('the end stays the end', async () => {
      const read = await source.read(request({ after: ['249'] }));
      expect(await read.next()).toBeNull();
      expect(await read.next()).toBeNull();
      await read.close();
      await read.close();
    });

    test('a read that is closed in the middle disturbs no other', async () => {
      const [first, second] = await Promise.all([source.read(request()), source.read(request())]);
      await first.next();
      await first.close();
      expect((await drain(second)).rows).toBe(contractRows.length);
    });

    test('an aborted read throws the signal’s reason', async () => {
      const cancel = new AbortController();
      const read = await source.read(request({ signal: cancel.signal }));
      const reason = new Error('enough');
      cancel.abort(reason);
      await expect(drain(read)).rejects.toBe(reason);
      await read.close();
    });

    test('the high of a window is the greatest value, or low when nothing is above it', async () => {
      const high = (low: string | null) =>
        source.fetchHigh({
          query: fixture.query,
          columns: contractColumns,
          cursor,
          low,
          signal: new AbortController().signal,
        });
      expect(await high(null)).toBe('96');
      expect(await high('9')).toBe('96');
      expect(await high('96')).toBe('96');
      expect(await high('1000')).toBe('1000');
    });

    test('a result has the same fingerprint as long as it is the same', async () => {
      const all = await source.fetchFingerprint(fixture.query);
      expect(await source.fetchFingerprint(fixture.query)).toBe(all);
      expect(all).toMatch(/^[0-9a-f]{32,64}$/);
      await expect(source.fetchFingerprint('select 1; select 2')).rejects.toMatchObject({
        code: expect.stringMatching(/^(QUERY_NOT_ALLOWED|SOURCE_SQL)$/),
      });
    });

    test('rows without a cursor are refused where they may not be passed over', async () => {
      const refused = source.fetchHigh({
        query: fixture.query,
        columns: contractColumns,
        cursor: { ...cursor, nulls: 'refuse' },
        low: null,
        signal: new AbortController().signal,
      });
      await expect(refused).rejects.toMatchObject({ code: 'CURSOR_NULL' });
    });
  });
}
