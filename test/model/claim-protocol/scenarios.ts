/** Small worlds of the scheduler. */
import type { ClaimScenario } from './state.ts';

const base: ClaimScenario = {
  slots: [
    { sync: 0, due: 1 },
    { sync: 1, due: 1 },
  ],
  syncs: 2,
  cap: 1,
  ahead: 0,
  queued: [],
  running: [],
  isEmpty: false,
  parallel: {},
  mayDie: [],
  faults: {},
};
const one: ClaimScenario = { ...base, slots: [{ sync: 0, due: 1 }], syncs: 1 };

/** Both runs wait in the index already. */
const queued: ClaimScenario = {
  ...base,
  slots: base.slots.map((slot) => ({ ...slot, due: 0 })),
  queued: [0, 1],
};

export const claimScenarios = {
  /** Two dispatchers, one due time, Redis' clock ahead. */
  ticks: {
    ...one,
    ahead: 1,
    parallel: { tick: 2, admit: 1, overdue: 1, offer: 1 },
    mayDie: ['tick'],
    faults: { crash: 1, leaseRunsOut: 1 },
  },
  /** Two dispatchers settle one due time at once; each claim may be handed on once. */
  settles: { ...one, parallel: { tick: 2, admit: 1 }, faults: { leaseRunsOut: 1 } },
  /** Two runs of one sync, room for both. */
  overlap: {
    ...base,
    slots: [
      { sync: 0, due: 0 },
      { sync: 0, due: 0 },
    ],
    syncs: 1,
    queued: [0, 1],
    cap: 2,
    parallel: { admit: 2, offer: 1 },
    faults: { ticketRunsOut: 1 },
  },
  /** A run that was triggered for later. */
  early: { ...one, queued: [0], parallel: { admit: 1, offer: 1 } },
  /** Two runs, one place, slow dispatchers. */
  places: { ...queued, parallel: { admit: 2, places: 1 }, faults: { ticketRunsOut: 1 } },
  /** Two runs, one place, dispatchers that die. */
  crashes: {
    ...queued,
    mayDie: ['admit', 'release', 'places'],
    parallel: { admit: 1, places: 1, stuck: 1 },
    faults: { crash: 1 },
  },
  /** Two runs and room for both, of one source that takes one. */
  sources: {
    ...queued,
    cap: 2,
    source: { cap: 1, of: [0, 0] },
    parallel: { admit: 1, places: 1, offer: 1 },
  },
  /** Two runs and room for both, of one tenant that may have one at work. */
  tenants: {
    ...queued,
    cap: 2,
    tenant: { cap: 1, of: [0, 0] },
    parallel: { admit: 1, places: 1, offer: 1 },
  },
  /** Two runs of one source that may start one at a time. */
  rates: {
    ...queued,
    cap: 2,
    source: { cap: 2, of: [0, 0], gap: 1 },
    parallel: { admit: 1, places: 1 },
  },
  /** A sync is paused and resumed, before its due time or after it. */
  pauses: { ...one, parallel: { tick: 1, admit: 1, offer: 1 }, faults: { pause: 1, resume: 1 } },
  /** A sync is edited: what is ahead comes sooner. Who should tell the index may have died. */
  edits: {
    ...one,
    slots: [
      { sync: 0, due: 1 },
      { sync: 0, due: 3 },
      { sync: 0, due: 2, isOfEdit: true },
    ],
    parallel: { tick: 2, overdue: 1 },
    mayDie: ['change'],
    faults: { edit: 1, crash: 1 },
  },
  /** A sync is deleted, at any step of its only run. */
  deletes: {
    ...one,
    parallel: { tick: 1, admit: 1, offer: 1, reconcile: 1, stuck: 1 },
    mayDie: ['change', 'admit'],
    faults: { delete: 1, crash: 1 },
  },
  /** A due time cancels the run at work; the dispatcher that should say so dies. */
  cancels: {
    ...one,
    slots: [
      { sync: 0, due: 0 },
      { sync: 0, due: 1 },
    ],
    queued: [0],
    cancelsOther: true,
    parallel: { tick: 1, admit: 1, offer: 1, overdue: 1, reconcile: 1 },
    mayDie: ['tick'],
    faults: { crash: 1 },
  },
  /** Somebody terminates the workflow of a run. */
  terminated: {
    ...one,
    slots: [{ sync: 0, due: 0 }],
    queued: [0],
    parallel: { admit: 1, stuck: 1, reconcile: 1, places: 1 },
    faults: { terminate: 1 },
  },
  /** Redis fails over to a server that is behind: what waits and what is at work. */
  older: {
    ...queued,
    parallel: { admit: 1, places: 1 },
    faults: { keep: 1, restore: 1 },
  },
  /** The same of due times. */
  olderDue: {
    ...one,
    parallel: { tick: 1, admit: 1, overdue: 1, offer: 1 },
    faults: { keep: 1, restore: 1 },
  },
  /** Redis is empty, a run is at work, another waits for its place; and Redis is emptied again. */
  refilled: {
    ...queued,
    queued: [1],
    running: [0],
    isEmpty: true,
    parallel: { admit: 1, refill: 1, places: 1 },
    faults: { flush: 1 },
  },
  /** Redis is emptied under everything that is under way. */
  flushed: {
    ...one,
    parallel: { tick: 1, admit: 1, stuck: 1, refill: 1 },
    mayDie: ['admit'],
    faults: { flush: 1, crash: 1 },
  },
} satisfies Record<string, ClaimScenario>;
