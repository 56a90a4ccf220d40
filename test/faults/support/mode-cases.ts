/**
 * What is copied in each mode when faults strike at random: tables that a seed fills, the flags of the copy, and what the
 * destination must hold afterwards.
 */
import type { Dice } from '../../support/dice.ts';

export interface ModeCase {
  /** Statements at the source and at the destination, before the copy. */
  readonly plant: { readonly source: string; readonly destination: string };
  /** All rows of the source where none is given. */
  readonly query?: string;
  /** Of `penstock copy`, beside those of every case. */
  readonly flags: readonly string[];
  /** Two queries that must give the same rows. */
  readonly equal: { readonly source: string; readonly destination: string };
  /** Queries at the destination that must give no row. */
  readonly none: readonly string[];
  /** Of all loads together, however many it took. A row that is read is new, changed, the same, refused or a tombstone. */
  readonly counts: (loads: number) => Readonly<Record<Count, number>>;
}

export type Count = 'read' | 'inserted' | 'updated' | 'unchanged' | 'rejected' | 'tombstones' | 'deleted';

const noCounts = { inserted: 0, updated: 0, unchanged: 0, rejected: 0, tombstones: 0, deleted: 0 };

/** What the seed decides in every mode. */
interface Shape {
  readonly rows: number;
  readonly parallel: number;
  readonly dice: Dice;
}

const columns = 'id, tie, label, amount, gone';
const table =
  'id integer primary key, tie integer not null, label text, amount numeric not null, gone boolean';

/** `gone` of every 11th, a negative amount of every 97th. Text of all lengths, so that batches differ in bytes. */
const plantSource = (rows: number): string =>
  `drop table if exists item; create table item (${table});
   insert into item select i, i / 3, case when i % 7 > 0 then repeat(md5(i::text), i % 6) end,
     (case when i % 97 = 0 then -1 else 1 end) * i / 8.0, i % 11 = 0 from generate_series(1, ${rows}) i;
   analyze item`;

/** Of every three rows one is there as it is at the source, one with another label, one is not; and some are there alone. */
const plantTarget = (rows: number, { alone, more = '' }: { alone: number; more?: string }): string =>
  `create table target (${table}${more});
   insert into target select i, i / 3, case when i % 3 = 1 then 'old' when i % 7 > 0 then repeat(md5(i::text), i % 6) end,
     (case when i % 97 = 0 then -1 else 1 end) * i / 8.0, i % 11 = 0 from generate_series(1, ${rows}) i where i % 3 > 0;
   insert into target select -i, 0, 'alone', 0, false from generate_series(1, ${alone}) i`;

const countOf = (rows: number, isOne: (i: number) => boolean): number =>
  Array.from({ length: rows }, (_, i) => i + 1).filter(isOne).length;

const isNew = (i: number): boolean => i % 3 === 0;
const isChanged = (i: number): boolean => i % 3 === 1;
const isGone = (i: number): boolean => i % 11 === 0;
const isBad = (i: number): boolean => i % 97 === 0;
/** Rows that were there and that no source has. */
const alone = 300;

const whole = { source: `select ${columns} from item`, destination: `select ${columns} from target` };
/** LIMIT: cannot be resumed. */
const restarted = `${whole.source} limit 1000000`;
const beside = { ...whole, destination: `${whole.destination} where id > 0` };
const stillAlone = `select from target where id < 0 having count(*) <> ${alone}`;

/** Written in a mode that merges: some rows new, some changed, the rest as they were. */
const merged =
  (rows: number, isRead: (i: number) => boolean = () => true) =>
  (loads: number) => {
    const inserted = countOf(rows, (i) => isRead(i) && isNew(i));
    const updated = countOf(rows, (i) => isRead(i) && isChanged(i));
    const unchanged = loads * countOf(rows, isRead) - inserted - updated;
    return { ...noCounts, read: loads * rows, inserted, updated, unchanged };
  };
const added = (rows: number) => (loads: number) => ({
  ...noCounts,
  read: loads * rows,
  inserted: loads * rows,
});

const cases = {
  append: ({ rows, dice }) => ({
    plant: { source: plantSource(rows), destination: '' },
    // A key that is not unique: batches end where it changes.
    flags: ['--mode', 'append', '--key', dice.oneOf(['id', 'tie'])],
    equal: whole,
    none: [],
    counts: added(rows),
  }),
  'append-staged': ({ rows, dice }) => ({
    plant: { source: plantSource(rows), destination: '' },
    query: restarted,
    flags: ['--mode', 'append', ...dice.oneOf([[], ['--key', 'id']])],
    equal: whole,
    none: [],
    counts: added(rows),
  }),
  upsert: ({ rows, dice }) =>
    dice.oneOf([true, false])
      ? {
          plant: { source: plantSource(rows), destination: plantTarget(rows, { alone }) },
          flags: ['--mode', 'upsert', '--key', 'id'],
          equal: beside,
          none: [stillAlone],
          counts: merged(rows),
        }
      : {
          plant: { source: plantSource(rows), destination: '' },
          flags: ['--mode', 'upsert', '--key', 'id'],
          equal: whole,
          none: [],
          counts: (loads) => ({
            ...noCounts,
            read: loads * rows,
            inserted: rows,
            unchanged: (loads - 1) * rows,
          }),
        },
  'upsert-deleted-when': ({ rows }) => ({
    plant: { source: plantSource(rows), destination: plantTarget(rows, { alone }) },
    flags: ['--mode', 'upsert', '--key', 'id', '--deleted-when', 'gone'],
    equal: { source: `${whole.source} where not gone`, destination: beside.destination },
    none: [stillAlone],
    counts: (loads) => ({
      ...merged(rows, (i) => !isGone(i))(loads),
      tombstones: loads * countOf(rows, isGone),
      deleted: countOf(rows, (i) => isGone(i) && !isNew(i)),
    }),
  }),
  mirror: ({ rows }) => ({
    plant: { source: plantSource(rows), destination: plantTarget(rows, { alone }) },
    flags: ['--mode', 'mirror', '--key', 'id', '--max-delete-percent', '100'],
    equal: whole,
    none: [],
    counts: (loads) => ({ ...merged(rows)(loads), deleted: alone }),
  }),
  'mirror-soft-delete': ({ rows, dice }) => ({
    plant: {
      source: plantSource(rows),
      destination: plantTarget(rows, {
        alone,
        more: `, removed ${dice.oneOf(['boolean not null default false', 'timestamptz'])}`,
      }),
    },
    flags: ['--mode', 'mirror', '--key', 'id', '--max-delete-percent', '100', '--soft-delete', 'removed'],
    equal: beside,
    none: [stillAlone, `select from target where (id < 0) <> (coalesce(removed::text, 'false') <> 'false')`],
    counts: (loads) => ({ ...merged(rows)(loads), deleted: alone }),
  }),
  replace: ({ rows, dice }) => ({
    plant: {
      source: plantSource(rows),
      // A view forbids the swap.
      destination: dice.oneOf([
        '',
        plantTarget(rows, { alone }),
        `${plantTarget(rows, { alone })}; create view report as select * from target`,
      ]),
    },
    query: dice.oneOf([whole.source, restarted]),
    flags: ['--mode', 'replace', '--key', 'id', '--max-delete-percent', '100'],
    equal: whole,
    none: [],
    counts: added(rows),
  }),
  rejects: ({ rows, dice }) => {
    const mode = dice.oneOf(['append', 'upsert', 'mirror'] as const);
    const more = ', constraint paid check (amount >= 0) not valid';
    const bad = countOf(rows, isBad);
    return {
      plant: { source: plantSource(rows), destination: `create table target (${table}${more})` },
      flags: ['--mode', mode, '--key', 'id', '--max-rejects', String(bad)],
      equal: { source: `${whole.source} where amount >= 0`, destination: whole.destination },
      none: [
        `select from _penstock.reject having count(*) <> ${bad} or count(distinct key) <> ${bad}
           or bool_or(stopped) or bool_or(settled_at is not null) or bool_or("constraint" is distinct from 'paid')
           or bool_or(key[1]::integer % 97 <> 0)`,
      ],
      counts: (loads) => ({
        ...noCounts,
        read: loads * rows,
        inserted: rows - bad,
        unchanged: (loads - 1) * (rows - bad),
        rejected: loads * bad,
      }),
    };
  },
} satisfies Record<string, (shape: Shape) => ModeCase>;

export type FaultMode = keyof typeof cases;

export const faultModes = Object.keys(cases) as FaultMode[];

interface Roll {
  /** Of a copy that nothing strikes, about. */
  readonly batches: number;
  readonly says: string;
}

/** What a seed copies in that mode; one line says it. */
export function rollCase(mode: FaultMode, dice: Dice): ModeCase & Roll {
  const shape = { rows: dice.between(600, 2_000), parallel: dice.oneOf([1, 2]), dice };
  const batchRows = dice.between(30, 120);
  const partitions = shape.parallel === 1 ? 1 : 4 * shape.parallel;
  const one: ModeCase = cases[mode](shape);
  const sizes = ['--parallel', String(shape.parallel), '--batch-rows', String(batchRows)];
  return {
    ...one,
    flags: ['--query', one.query ?? whole.source, '--table', 'target', ...sizes, ...one.flags],
    batches: partitions * Math.ceil(shape.rows / partitions / batchRows),
    says: `${shape.rows} rows in batches of ${batchRows}, ${shape.parallel} at once`,
  };
}
