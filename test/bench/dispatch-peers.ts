/**
 * Very many schedules due at the same instant and no engine, against schedulers in Python that put jobs on a queue in Redis:
 * rq-scheduler and RedBeat, where the `python3` on PATH has them (`pip install rq-scheduler==0.14.0 celery-redbeat==2.4.2 'celery[redis]'`).
 * Ours writes each run and its slot to Postgres, theirs do not.
 *
 *   npm run bench dispatch-peers [-- --herd=10000]
 */
import type { SubjectResult } from './support/bench-report.ts';
import { onDispatchStage, onFreshStage } from './support/dispatch-stage.ts';
import { numberFlag } from './support/flags.ts';
import { lagsOf } from './support/measured-dispatcher.ts';
import { plantSchedules } from './support/planted-schedules.ts';
import { isInstalled, pythonPeers, watchPeer } from './support/python-peer.ts';

const herd = numberFlag('herd', 10_000);
/** Until all are planted. */
const settlingMs = 15_000 + herd * 2;
const single = { runs: 1, rssMiB: null, rssIdleMiB: null, cpuSeconds: null };

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
  const seconds = Math.max(...lags) / 1_000;
  peers.push({
    ...single,
    subject: peer.name,
    startsPerSecond: herd / seconds,
    lagMs: lagsOf(lags),
    seconds: [seconds],
  });
}

await onDispatchStage(async (stage) => {
  const dueMs = Date.now() + settlingMs;
  await plantSchedules(stage.controlUrl, { count: herd, fromMs: dueMs, apartMs: 0, everySeconds: null });
  const dispatcher = await stage.startDispatcher();
  if (Date.now() > dueMs) throw new Error('it took too long: they were due meanwhile');
  await stage.until(dueMs);
  const { figures, seconds } = await dispatcher.takeStartsUntil(herd, dueMs);
  await dispatcher.stop();
  return {
    name: 'dispatch-peers',
    rows: herd,
    subjects: [{ ...single, subject: 'penstock', ...figures, seconds: [seconds] }, ...peers],
    bars: [],
  };
});
