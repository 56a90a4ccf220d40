/** What every source behind the port must do. Called by a test file of each: the fake, and PostgreSQL by both readers. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { boundsOf } from '../../src/copy/plan-partitions.ts';
import { encodeRow } from '../../src/copy/encode-rows.ts';
import type { PlannedCursor, ReadRequest, Source, SourceRead } from '../../src/ports/source.ts';
import type { FakeRow } from '../support/fake-source.ts';

export interface SourceFixture {
  readonly source: Source;
  /** Reads the rows of `contractTable`, in any order. */
  readonly query: string;
  readonly reader: ReadRequest['reader'];
  end(): Promise<void>;
}

/** Integer key, integer cursor that is NULL in each tenth row, text with everything to escape. */
export const contractRows: readonly FakeRow[] = Array.from({ length: 500 }, (_, i) => [
  String(i - 250),
  i % 10 === 0 ? null : String(i % 97),
  i % 7 === 0 ? null : `note\t${i}\n\\N "é😀"`,
]);

export const contractColumns = [
  { name: 'id', typeOid: 23, typeName: 'integer' },
  { name: 'seen', typeOid: 23, typeName: 'integer' },
  { name: 'note', typeOid: 25, typeName: 'text' },
];

/** Creates `contract_rows` and fills it. */
export const contractTable = `create table contract_rows (id integer primary key, seen integer, note text)`;

export function describeSource(name: string, createFixture: () => Promise<SourceFixture>): void {
  describe(`the source ${name}`, () => {
    let fixture: SourceFixture;
    let source: Source;
    beforeAll(async () => {
      fixture = await createFixture();
      source = fixture.source;
    });
    afterAll(() => fixture.end());

    const cursor: PlannedCursor = { column: 'seen', lookbackMs: 0, lagMs: 100, nulls: 'read' };
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
