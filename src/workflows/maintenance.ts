/**
 * Our own maintenance, started by Temporal Schedules, so that operators see it, can run it and can pause it. Each job calls
 * activities that do a bounded stretch until nothing is left, and notes how it went.
 */
import { proxyActivities, setCurrentDetails, sleep } from '@temporalio/workflow';
import type { From, MaintenanceActivities } from '../activities/maintenance-contract.ts';
import {
  addTally,
  mostBroken,
  type BrokenInvariant,
  type Findings,
  type MaintenanceJob,
  type Stretch,
  type Tally,
} from '../domain/maintenance.ts';
import { maintenanceOptions } from './activity-options.ts';

const {
  forgetLogs,
  forgetRuns,
  forgetLoads,
  dropOrphans: drop,
  auditControl,
  auditDestinations,
  noteEnd,
} = proxyActivities<MaintenanceActivities>(maintenanceOptions);

/** Stretches of one activity in one pass; what is left then waits for the next, and the history stays short. */
const mostStretches = 30;

/** What is older than it is kept, in the control database and in the destinations. */
export async function forgetOld(): Promise<Tally> {
  const passes = [
    await inStretches(forgetLogs),
    await inStretches(forgetRuns),
    await inStretches(forgetLoads),
  ];
  return await end('retention', { tally: passes.map(({ tally }) => tally).reduce(addTally) });
}

/** What is left of what is over. */
export async function dropOrphans(): Promise<Tally> {
  return await end('orphans', await inStretches(drop));
}

export interface AuditInput {
  /** How long something may look wrong because it is being changed. */
  settleMs: number;
}

/** Whether the invariants hold. What looks wrong is looked at again a while later: only what still is, is broken. */
export async function auditInvariants({ settleMs }: AuditInput): Promise<Tally> {
  let broken = await findBroken();
  if (broken.length > 0) {
    await sleep(settleMs, { summary: 'is it still so?' });
    const again = new Set((await findBroken()).map(nameOf));
    broken = broken.filter((found) => again.has(nameOf(found)));
  }
  const tally = broken.map(({ invariant }) => ({ [invariant]: 1 })).reduce<Tally>(addTally, {});
  return await end('audit', { tally, broken });
}

const nameOf = ({ invariant, object, destination }: BrokenInvariant): string =>
  `${invariant} ${object} ${destination ?? ''}`;

async function findBroken(): Promise<BrokenInvariant[]> {
  const { broken: inControl = [] } = await auditControl();
  const { broken } = await inStretches(auditDestinations);
  return [...inControl, ...broken].slice(0, mostBroken);
}

async function inStretches(work: (from: From) => Promise<Stretch>): Promise<Required<Findings>> {
  let tally: Tally = {};
  const broken: BrokenInvariant[] = [];
  let from: From = {};
  for (let n = 0; n < mostStretches; n += 1) {
    const stretch = await work(from);
    tally = addTally(tally, stretch.tally);
    broken.push(...(stretch.broken ?? []));
    if (stretch.next === undefined) break;
    from = { after: stretch.next };
  }
  return { tally, broken };
}

async function end(job: MaintenanceJob, { tally, broken = [] }: Findings): Promise<Tally> {
  await noteEnd({ job, tally, broken });
  const lines = Object.entries(tally).map(([what, count]) => `- ${what}: ${count}`);
  setCurrentDetails(`**${job}**\n\n${lines.join('\n') || 'nothing'}`);
  return tally;
}
