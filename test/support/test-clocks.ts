/**
 * The clocks of control Postgres and of Redis in the hands of a test: both stand still until they are moved, and need not
 * agree. The product's SQL and Lua ask for the time as ever; here the answer is the test's.
 */
import { Redis } from 'ioredis';
import { Client } from 'pg';

export interface TestClocks {
  /** By control Postgres. */
  readonly nowMs: () => number;
  /** Both go to this time; a step back is for the next test only. */
  readonly moveTo: (ms: number) => Promise<void>;
  /** How far Redis is ahead from now on; less than 0: behind. */
  readonly skewRedis: (aheadMs: number) => Promise<void>;
  /** Redis has lost its time with all the rest, or was away: it gets the time. */
  readonly setRedis: () => Promise<void>;
}

type Definition = Parameters<Redis['defineCommand']>;

const timeKey = 'test:clock';
const testTime = `(function()
  local ms = tonumber(redis.call('GET', '${timeKey}'))
  return { math.floor(ms / 1000), (ms % 1000) * 1000 }
end)()`;

/** Columns that get the time by default get ours, too: a default was bound to its function when it was made. */
const install = `
create schema test;
create table test.clock (ms float8 not null);
create function test.clock_timestamp() returns timestamptz volatile language sql
  begin atomic select to_timestamp(ms / 1000) from test.clock; end;
grant usage on schema test to public;
grant select on test.clock to public;
do $$
declare
  c record;
begin
  for c in select table_name, column_name from information_schema.columns
    where table_schema = 'penstock' and column_default = 'clock_timestamp()'
  loop
    execute format('alter table penstock.%I alter column %I set default test.clock_timestamp()', c.table_name, c.column_name);
  end loop;
  execute format('alter database %I set search_path = test, pg_catalog', current_database());
end
$$`;

/** To be called before anybody else connects to the database. Every Redis client of this test file goes by the clock. */
export async function createTestClocks(
  controlUrl: string,
  redis: Redis,
  startMs: number,
): Promise<TestClocks> {
  let [now, ahead] = [startMs, 0];
  const client = new Client({ connectionString: controlUrl });
  await client.connect();
  await client.query(install);
  await client.query('insert into test.clock values ($1)', [now]);
  await client.end();
  const setRedis = async (): Promise<void> => void (await redis.set(timeKey, now + ahead));
  await setRedis();
  const define: (...args: Definition) => void = Reflect.get(Redis.prototype, 'defineCommand');
  Redis.prototype.defineCommand = function (name, definition) {
    const lua = definition.lua.replaceAll(`redis.call('TIME')`, testTime);
    define.call(this, name, { ...definition, lua });
  };
  return {
    nowMs: () => now,
    async moveTo(ms) {
      now = ms;
      const mover = new Client({ connectionString: controlUrl });
      await mover.connect();
      await mover.query('update test.clock set ms = $1', [now]);
      await mover.end();
      // One that is away is told when it is back.
      if (redis.status === 'ready') await setRedis();
    },
    async skewRedis(aheadMs) {
      ahead = aheadMs;
      await setRedis();
    },
    setRedis,
  };
}
