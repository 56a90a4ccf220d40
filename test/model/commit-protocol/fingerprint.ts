/** A number for every state, the same for states that differ only in the order of their processes. */
import { Fingerprint } from '../explore.ts';
import { faultNames } from './state.ts';
import type { Batch, Copier, Database, State, Straggler, Workflow } from './state.ts';

const bit = (value: boolean): number => (value ? 1 : 0);
const phases = ['open', 'done', 'abandoned'];
const runs = ['absent', 'open', 'final'];
const stages = [
  'waiting',
  'prepare',
  'abandon',
  'open',
  'copy',
  'finish',
  'published',
  'publish',
  'closing',
  'marked',
  'closed',
];
const places = ['take', 'looked', 'emptying', 'ready', 'open'];

function addDatabase(print: Fingerprint, db: Database): void {
  for (const run of db.runs) print.add(runs.indexOf(run));
  for (const load of db.loads) {
    print.add(load ? phases.indexOf(load.phase) : -1);
    if (!load) continue;
    print.add(load.low).add(load.high).add(load.table).add(load.receipt).add(load.plan.charCodeAt(0));
    for (const lease of load.leases) print.add(lease.run).add(lease.epoch).add(lease.latest);
    for (const list of load.checkpoints) {
      print.add(list.length);
      for (const each of list)
        print.add(each.no).add(each.lo).add(each.hi).add(each.rows).add(bit(each.final));
    }
    for (const count of load.shadow) print.add(count);
  }
  print.add(db.cursor).add(db.table);
  for (const count of db.copies) print.add(count);
  for (const version of db.versions) print.add(version);
}

function addWorkflow(print: Fingerprint, workflow: Workflow): void {
  print.add(stages.indexOf(workflow.stage)).add(workflow.load).add(workflow.low).add(workflow.n);
  print
    .add(bit(workflow.wanted === 'failed'))
    .add(workflow.counted)
    .add(workflow.plan.charCodeAt(0));
  for (const finished of workflow.finished) print.add(bit(finished));
  for (const calls of workflow.calls) print.add(calls);
}

function addBatch(print: Fingerprint, batch: Batch): Fingerprint {
  print
    .add(batch.load)
    .add(batch.part)
    .add(batch.run)
    .add(batch.epoch)
    .add(batch.no)
    .add(batch.lo)
    .add(batch.hi);
  for (const row of batch.rows) print.add(row);
  return print.add(bit(batch.final));
}

function addCopier(print: Fingerprint, copier: Copier): Fingerprint {
  print.add(copier.run).add(copier.load).add(copier.part).add(copier.born).add(copier.epoch);
  print.add(bit(copier.replaced)).add(bit(copier.frozen)).add(places.indexOf(copier.at));
  print.add(copier.no).add(copier.hi).add(copier.counted);
  return copier.batch ? addBatch(print, copier.batch) : print;
}

function addStraggler(print: Fingerprint, straggler: Straggler): Fingerprint {
  print.add(straggler.run);
  if (straggler.does === 'finish') return print.add(-1).add(straggler.load);
  return print.add(straggler.low).add(straggler.high).add(straggler.n).add(straggler.plan.charCodeAt(0));
}

export function fingerprintOf(state: State): number {
  const print = new Fingerprint();
  addDatabase(print, state.db);
  if (state.backup) addDatabase(print.add(-2), state.backup);
  for (const workflow of state.workflows) addWorkflow(print, workflow);
  for (const fault of faultNames) print.add(state.left[fault] ?? 0);
  print.add(bit(state.tampered)).add(bit(state.broken !== null));
  print.addUnordered(state.copiers, addCopier);
  print.addUnordered(state.stragglers, addStraggler);
  print.addUnordered(state.orphans, addBatch);
  return print.value();
}
