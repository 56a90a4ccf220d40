/**
 * Where a herd's time goes: the processor time of each process while everything is due at once, and how long Postgres was at
 * each statement (pg_stat_statements, which comes with Postgres' contrib packages and is work, too).
 *
 *   npm run bench dispatch-profile [-- --schedules=200000 --herd=50000]
 */
import { onDispatchStage } from './support/dispatch-stage.ts';
import { numberFlag } from './support/flags.ts';
import { plantSchedules } from './support/planted-schedules.ts';
import { execute } from './support/servers.ts';
import { listStatements, statementSettings } from './support/statement-times.ts';

const schedules = numberFlag('schedules', 200_000);
const herd = numberFlag('herd', 50_000);
/** Until the index is full, and planting has come to rest. */
const settlingMs = 20_000 + schedules * 0.2;

await onDispatchStage(async (stage) => {
  const herdMs = Date.now() + settlingMs;
  stage.log(`planting ${schedules.toLocaleString('en-US')} schedules …`);
  await plantSchedules(stage.controlUrl, {
    count: schedules - herd,
    fromMs: herdMs + 3_600_000,
    apartMs: 1,
    everySeconds: null,
  });
  await plantSchedules(stage.controlUrl, {
    count: herd,
    fromMs: herdMs,
    apartMs: 1_000 / herd,
    everySeconds: null,
  });
  await execute(stage.controlUrl, 'create extension pg_stat_statements', 'checkpoint');
  const dispatcher = await stage.startDispatcher();
  if (Date.now() > herdMs) throw new Error('it took too long: the herd was due meanwhile');
  await stage.until(herdMs - 100);
  await execute(stage.controlUrl, 'select pg_stat_statements_reset()');
  const used = dispatcher.noteCpu();
  const rushed = await dispatcher.takeStartsUntil(herd, herdMs);
  const cpu = used();
  const statements = await listStatements(stage.controlUrl);
  await dispatcher.stop();
  const { startsPerSecond, lagMs } = rushed.figures;
  const single = { runs: 1, rssMiB: null, rssIdleMiB: null };
  return {
    name: 'dispatch-profile',
    rows: schedules,
    subjects: [
      {
        ...single,
        subject: `penstock (${herd} at once)`,
        startsPerSecond,
        lagMs,
        seconds: [rushed.seconds],
        cpuSeconds: cpu.machine,
      },
      ...(['dispatcher', 'postgres', 'redis'] as const).map((name) => ({
        ...single,
        subject: name,
        seconds: [],
        cpuSeconds: cpu[name],
      })),
      ...statements.map(({ statement, calls, seconds }) => ({
        ...single,
        subject: `${statement} (${calls})`,
        seconds: [seconds],
        cpuSeconds: null,
      })),
    ],
    bars: [],
  };
}, statementSettings);
