/**
 * Very many schedules due at the same instant and no engine, against schedulers in Python that put jobs on a queue in Redis:
 * rq-scheduler and RedBeat, where the `python3` on PATH has them (`pip install rq-scheduler==0.14.0 celery-redbeat==2.4.2 'celery[redis]==5.7.0'`).
 * Ours writes each run and its slot to Postgres, theirs do not.
 *
 *   npm run bench dispatch-peers [-- --herd=10000]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SubjectResult } from './support/bench-report.ts';
import { onDispatchStage, onFreshStage } from './support/dispatch-stage.ts';
import { numberFlag } from './support/flags.ts';
import { lagsOf } from './support/measured-dispatcher.ts';
import { plantSchedules } from './support/planted-schedules.ts';
import { isInstalled, pythonPeers, watchPeer } from './support/python-peer.ts';

const herd = numberFlag('herd', 10_000);
/** Until all are planted. */
const settlingMs = 15_000 + herd * 2;

/** A second from the instant at which all were due until the last was there: of ours in the rows and on its way to an engine. */
function subjectOf(subject: string, lags: readonly number[]): SubjectResult {
  const seconds = Math.max(...lags) / 1_000;
  return {
    subject,
    runs: 1,
    startsPerSecond: lags.length / seconds,
    lagMs: lagsOf(lags),
    seconds: [seconds],
    rssMiB: null,
    rssIdleMiB: null,
    cpuSeconds: null,
  };
}

const peers: SubjectResult[] = [];
for (const peer of pythonPeers) {
  if (!(await isInstalled(peer))) {
    process.stderr.write(`${peer.name}: absent, python3 cannot import ${peer.module}\n`);
    continue;
  }
  const { result: lags } = await onFreshStage(
    async ({ redisUrl, log }) => {
      log(`${peer.name}: planting ${herd.toLocaleString('en-US')} …`);
      return await watchPeer(peer, { redisUrl, count: herd, dueMs: Date.now() + settlingMs });
    },
    { engine: false },
  );
  peers.push(subjectOf(peer.name, lags));
}

await onDispatchStage(async (stage) => {
  const dueMs = Date.now() + settlingMs;
  await plantSchedules(stage.controlUrl, { count: herd, fromMs: dueMs, apartMs: 0, everySeconds: null });
  const dispatcher = await stage.startDispatcher();
  if (Date.now() > dueMs) throw new Error('it took too long: they were due meanwhile');
  await stage.until(dueMs);
  const lags: number[] = [];
  while (lags.length < herd) {
    await sleep(500);
    lags.push(...(await dispatcher.listStarts()).map(({ atMs }) => atMs - dueMs));
  }
  await dispatcher.stop();
  return { name: 'dispatch-peers', rows: herd, subjects: [subjectOf('penstock', lags), ...peers], bars: [] };
});
