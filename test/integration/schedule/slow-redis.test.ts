/** A Redis that answers every call, and each late: what is due starts once and in order. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunId } from '../../../src/domain/ids.ts';
import { rollDice } from '../../support/dice.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { expectOutagesInTurns } from '../../support/outages-told.ts';
import { plantRun } from '../../support/plant-run.ts';
import {
  createSchedulerRoom,
  endRuns,
  lastingLeases,
  plantDue,
  plantSyncs,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

const seed = Number(process.env['PENSTOCK_SEED'] ?? Date.now() % 100_000);

let room: SchedulerRoom;
let proxy: TcpProxy;
let url: string;
beforeAll(async () => {
  room = await createSchedulerRoom();
  const { hostname, port, pathname } = new URL(room.redisUrl);
  proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  url = `redis://127.0.0.1:${proxy.port}${pathname}`;
  const dice = rollDice(seed);
  proxy.intercept('toClient', () => delay(dice.between(50, 300)));
});
afterEach(() => room.clear());
afterAll(async () => {
  await room.close();
  await proxy.close();
});

/** On a busy machine a call may be late enough to be given up; the next is not. */
async function insist<T>(what: string, call: () => Promise<T>): Promise<T> {
  const answers: T[] = [];
  await waitUntil(what, async () => answers.push(await call()) > 0);
  return answers[0]!;
}

test(`with one place, runs start one by one in their order, and each is explained (PENSTOCK_SEED=${seed})`, async () => {
  const { logger, lines } = createKeptLogger();
  const index = await room.openIndex(lastingLeases, url, logger);
  const { syncIds, tenantId, connectionId } = await plantSyncs(room.pool, {
    count: 5,
    schedule: { manual: true },
  });
  const runIds: RunId[] = [];
  for (const [n, syncId] of syncIds.entries())
    runIds.push(
      await plantRun(room.pool, syncId, {
        request_key: `k${n}`,
        due_at: new Date(Date.now() - (60 - n) * 60_000),
      }),
    );
  await room.startDispatcher({ index, options: { ...room.deps().options, globalCap: 1 } });
  for (const [n, runId] of runIds.entries()) {
    await waitUntil('the next is started', () => room.starter.started.length > n);
    expect(room.starter.started.map((run) => run.runId)).toEqual(runIds.slice(0, n + 1));
    const next = runIds[n + 1];
    if (next !== undefined) {
      const explain = () => index.explainRun({ runId: next, tenantId, connectionId });
      const facts = await insist('the run that waits is explained', explain);
      expect(facts).toMatchObject({ state: 'ready', position: 1, all: { held: 1, cap: 1 } });
    }
    await insist('the run gives its place back', () => endRuns(room, index, [runId]));
  }
  await insist('Redis is asked', () => index.check());
  expectOutagesInTurns(lines);
});

test('two dispatchers start everything once, and tell each change of state once', async () => {
  const kept = [createKeptLogger(), createKeptLogger()];
  await plantDue(room.pool, { count: 100 });
  for (const { logger } of kept)
    await room.startDispatcher({
      index: await room.openIndex(lastingLeases, url, logger),
      log: logger,
      // A run that has been starting for so long is started again.
      options: { ...room.deps().options, ticketMs: lastingLeases.ticketMs },
    });
  await waitUntil('all are started', () => room.starter.started.length === 100);
  await waitUntil(
    'all starts are confirmed',
    async () =>
      (await room.redis.scard(room.key('active:global'))) === 100 &&
      (await room.redis.zcard(room.key('tickets'))) === 0,
  );
  expect(room.starter.startCalls).toBe(100);
  for (const { lines } of kept)
    for (const purpose of ['index', 'wake-ups'])
      expectOutagesInTurns(lines.filter((line) => line.includes(`"purpose":"${purpose}"`)));
});
