/**
 * The demo's large table: generated subscribers whose values are the awkward ones that copies are known to change.
 * Deterministic but for `updated_at` of what the demo changes; the tests use the same table.
 */
import { Client } from 'pg';

const createTable = `
  create table subscriber (
    id bigint not null,
    email text not null,
    name text,
    plan varchar(12) not null,
    country char(3),
    balance numeric,
    score double precision,
    ratio real,
    signed_up_at timestamptz,
    seen_at timestamp,
    birthday date,
    trial interval,
    profile jsonb,
    tags text[],
    quota integer[],
    avatar bytea,
    device uuid,
    active boolean,
    updated_at timestamptz not null
  )`;

/** Quotes, backslashes, COPY's own marks, control characters, emoji beyond the BMP, blanks, the word NULL, long text. */
const name = String.raw`
  case n % 16
    when 0 then null
    when 1 then ''
    when 2 then 'O''Brien "Bob" \ ' || n
    when 3 then E'tab\there, new\nline, return\r, \\N \\. \x01\x1f\x7f ' || n
    when 4 then '👩‍👩‍👧‍👦 Zoë Ünïcode 漢字 ' || n
    when 5 then '  spaces  '
    when 6 then repeat('long ', (n % 40)::int)
    when 7 then 'NULL'
    else 'Name ' || n
  end`;

const numbers = `
  case n % 31
    when 0 then null when 1 then 'NaN' when 2 then 'Infinity' when 3 then '-Infinity'
    when 4 then 0.000000000000000001 * n when 5 then -12345678901234567890123456789.987654321
    when 6 then 1.10 else round(n * 37 % 1000000 / 100.0, 2)
  end,
  case n % 29
    when 0 then null when 1 then 'NaN' when 2 then 'Infinity' when 3 then '-Infinity' when 4 then '-0'
    when 5 then 5e-324 when 6 then 1.7976931348623157e308 when 7 then 0.1::float8 + 0.2::float8
    else n * 1.000000001e-3
  end,
  case n % 23 when 0 then null when 1 then 'NaN' when 2 then 'Infinity' when 3 then 1e-45 else n * 0.37 end`;

/** Microseconds, both infinities, the ends of the ranges, years before Christ, an offset with seconds. */
const times = `
  case n % 37
    when 0 then null when 1 then 'infinity' when 2 then '-infinity' when 3 then '4713-01-01 00:00:00+00 BC'
    when 4 then '294276-12-31 23:59:59.999999+00' when 5 then '1883-11-18 12:03:58.000001+00'
    else timestamptz '2020-01-01 00:00:00.000001+00' + n * interval '0.610007 seconds'
  end,
  case n % 41
    when 0 then null when 1 then 'infinity' when 2 then '0044-03-15 12:00:00 BC'
    else timestamp '2024-03-31 02:30:00.123456' + n * interval '0.7 seconds'
  end,
  case n % 43
    when 0 then null when 1 then '5874897-12-31' when 2 then '4713-01-01 BC' when 3 then '-infinity'
    else date '1950-01-01' + (n % 20000)::int
  end,
  case n % 47
    when 0 then null when 1 then '-178000000 years' when 2 then '1 mon -1 day 00:00:00.000001'
    else n % 90 * interval '1 day'
  end`;

const documents = String.raw`
  case n % 13
    when 0 then null when 1 then 'null' when 2 then '[]'
    when 3 then '{"big": 123456789012345678901234567890, "n": null}'
    when 4 then '{"float": 1.10, "exp": 1e40, "text": "\u20ac \\ \" \n"}'
    else jsonb_build_object('id', n, 'beta', n % 2 = 0, 'seats', n % 17)
  end,
  case n % 11
    when 0 then null when 1 then '{}' when 2 then '{NULL,"NULL","",a b,"c,d","{e}","q\"\\"}'
    when 3 then '[0:1]={zero,one}' else array['t' || n % 100, 'customer']
  end,
  case n % 19
    when 0 then null when 1 then '[-1:1]={1,2,3}' when 2 then '{{1,2},{3,NULL}}'
    else array[n % 10, n % 100]::int[]
  end`;

/** The columns of subscriber n, in order. */
const values = (updatedAt: string): string => String.raw`
  n,
  'user' || n || case n % 50 when 0 then '+tag' else '' end || '@example.com',
  ${name},
  (array['free', 'pro', 'team', 'enterprise'])[1 + n % 4],
  case when n % 9 = 0 then null else (array['DE', 'US', 'IN ', 'GBR'])[1 + n % 4] end,
  ${numbers},
  ${times},
  ${documents},
  case n % 17 when 0 then null when 1 then '' when 2 then '\x0001ff5c0a0d09' else int8send(n * 7919) end,
  case n % 7
    when 0 then null
    else ('00000000-0000-4000-8000-' || lpad(to_hex(n * 2654435761 % 281474976710656), 12, '0'))::uuid
  end,
  case n % 5 when 0 then null else n % 3 = 0 end,
  ${updatedAt}`;

/** Every row was last changed before 2025, a moment after the one with the next smaller id. */
const longAgo = (rows: number): string =>
  `timestamptz '2025-01-01 00:00:00+00' - (${rows} - n) * interval '31.000007 seconds'`;

/**
 * Creates and fills the table, with two connections side by side.
 * @param url of a database that has no such table
 */
export async function createSubscribers(url: string, rows: number): Promise<void> {
  await execute(url, createTable);
  const half = Math.floor(rows / 2);
  const fill = (first: number, last: number): Promise<number> =>
    execute(
      url,
      `insert into subscriber select ${values(longAgo(rows))} from generate_series(${first}::bigint, ${last}) n`,
    );
  await Promise.all([fill(1, half), fill(half + 1, rows)]);
  await execute(
    url,
    `alter table subscriber add constraint subscriber_pkey primary key (id);
     create index subscriber_by_update on subscriber (updated_at);
     analyze subscriber`,
  );
}

/**
 * Changes some rows and adds new ones, in one transaction and with its time as `updated_at`: an incremental sync that
 * reads the changes reads exactly these.
 * @param request how many rows there are, to change (spread over the table) and to add (ids beyond the last)
 */
export async function changeSubscribers(
  url: string,
  { rows, changed, added }: { rows: number; changed: number; added: number },
): Promise<void> {
  const step = Math.floor(rows / changed);
  await execute(
    url,
    `begin;
     update subscriber set
       plan = case plan when 'free' then 'pro' else 'free' end,
       name = coalesce(name || ' ', '') || '✓',
       profile = case when jsonb_typeof(profile) = 'object' then profile || '{"changed": 9007199254740993}' end,
       updated_at = now()
     where id in (select k * ${step} from generate_series(1::bigint, ${changed}) k);
     insert into subscriber select ${values('now()')} from generate_series(${rows + 1}::bigint, ${rows + added}) n;
     commit`,
  );
}

async function execute(url: string, sql: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}
