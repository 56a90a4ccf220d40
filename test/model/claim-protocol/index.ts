/** What one Lua command does to the index. */
import { isAtWork, never, tenantOf, without, withAdded, withClaimBroken, withRedis } from './state.ts';
import type { ClaimConfig, ClaimScenario, ClaimState, Operation, Redis } from './state.ts';

/** Publishes a sync's next due time, as its row of that version said. */
export function publish(
  { scenario, rules }: ClaimConfig,
  state: ClaimState,
  sync: number,
  { next, version }: Pick<Operation, 'next' | 'version'>,
): ClaimState {
  const { due, versions } = state.redis;
  if (rules.publishCarriesVersion && version < (versions[sync] ?? 0)) return state;
  const told = withRedis(state, {
    due: due.with(sync, next === null ? null : { at: next + scenario.ahead, token: 0 }),
    versions: versions.with(sync, next === null ? 0 : version),
  });
  return version === state.syncs[sync]?.version
    ? { ...told, unheard: state.unheard.with(sync, false) }
    : told;
}

/** Lets runs wait for admission. */
function makeReady({ scenario }: ClaimConfig, state: ClaimState, runs: readonly number[]): ClaimState {
  const tenants = scenario.tenant ? runs.map((run) => tenantOf(scenario, run)) : [];
  return withRedis(state, {
    ready: runs.reduce(withAdded, state.redis.ready),
    tenants: tenants.reduce(withAdded, state.redis.tenants),
  });
}

/** Offers runs to the waiting order. */
export function offer(config: ClaimConfig, state: ClaimState, runs: readonly number[]): ClaimState {
  const { rules } = config;
  const { places, parked, later } = state.redis;
  const waitsElsewhere = (run: number): boolean =>
    (rules.offerSkipsHolders && places.includes(run)) ||
    (rules.offerKeepsParked && parked.includes(run)) ||
    (rules.offerKeepsLater && later[run] !== null);
  return makeReady(
    config,
    state,
    runs.filter((run) => !waitsElsewhere(run)),
  );
}

/** How many more runs may read from the source of this one. */
function roomOf({ source }: ClaimScenario, { places }: Redis, run: number): number {
  if (!source) return never;
  return source.cap - places.filter((other) => source.of[other] === source.of[run]).length;
}

/** Whether the tenant of this run may have another at work. */
const hasTenantRoom = ({ tenant }: ClaimScenario, { places }: Redis, run: number): boolean =>
  !tenant || places.filter((other) => tenant.of[other] === tenant.of[run]).length < tenant.cap;

/** Until when no run of the source may start; null: one may now. */
function gapOf(
  { scenario: { source }, rules }: ClaimConfig,
  { now, redis }: ClaimState,
  run: number,
): number | null {
  const starts = source ? (redis.starts[source.of[run] ?? 0] ?? 0) : 0;
  return rules.admitKeepsRates && starts > now ? starts : null;
}

/** Parked runs that have room are let go, the least first; those of a source that may not start one yet wait for that. */
export function unpark(config: ClaimConfig, state: ClaimState): ClaimState {
  const { source } = config.scenario;
  if (!source) return state;
  const { parked, opens } = state.redis;
  const gone = parked.filter((run) => {
    const rivals = parked.filter((other) => source.of[other] === source.of[run]);
    return (
      gapOf(config, state, run) === null && rivals.indexOf(run) < roomOf(config.scenario, state.redis, run)
    );
  });
  const untilOf = (_: number | null, of: number): number | null => {
    const waiting = parked.find((run) => source.of[run] === of && !gone.includes(run));
    return waiting === undefined ? null : gapOf(config, state, waiting);
  };
  const left = withRedis(state, {
    parked: parked.filter((run) => !gone.includes(run)),
    opens: opens.map(untilOf),
  });
  return makeReady(config, left, gone);
}

/** Places are given back; whoever waited for them goes on. */
export function freePlaces(config: ClaimConfig, state: ClaimState, runs: readonly number[]): ClaimState {
  const { scenario, rules } = config;
  const freed = withRedis(state, { places: state.redis.places.filter((run) => !runs.includes(run)) });
  const woken = freed.redis.ready.filter((run) =>
    runs.some((other) => tenantOf(scenario, other) === tenantOf(scenario, run)),
  );
  const next = rules.freeWakesTenant ? makeReady(config, freed, woken) : freed;
  return rules.freeUnparks ? unpark(config, next) : next;
}

/** The run at the head of its order is admitted, or set aside so that it hides nobody behind it. */
export function admitHead(
  config: ClaimConfig,
  state: ClaimState,
  run: number,
): { state: ClaimState; isAdmitted: boolean } {
  const { scenario, rules } = config;
  const { redis, now } = state;
  const of = scenario.source?.of[run] ?? 0;
  if (rules.admitKeepsTenantCaps && !hasTenantRoom(scenario, redis, run)) {
    const tenants = without(redis.tenants, tenantOf(scenario, run));
    return { state: withRedis(state, { tenants }), isAdmitted: false };
  }
  const left = withRedis(state, { ready: without(redis.ready, run) });
  const until = gapOf(config, state, run);
  if (until !== null || (rules.admitKeepsCaps && roomOf(scenario, redis, run) <= 0)) {
    const opens = until === null ? redis.opens : redis.opens.with(of, until);
    return { state: withRedis(left, { parked: withAdded(redis.parked, run), opens }), isAdmitted: false };
  }
  const gap = scenario.source?.gap;
  if (!gap) return { state: left, isAdmitted: true };
  const isParking = redis.parked.some((other) => scenario.source?.of[other] === of);
  const next = withRedis(
    { ...left, admitted: state.admitted.with(of, now) },
    {
      starts: redis.starts.with(of, now + gap),
      opens: isParking ? redis.opens.with(of, now + gap) : redis.opens,
    },
  );
  const isTooSoon = now < (state.admitted[of] ?? -gap) + gap;
  return {
    state: isTooSoon ? withClaimBroken(next, 'two runs of a source start closer than they may') : next,
    isAdmitted: true,
  };
}

/** What has waited for a time that has come goes on. */
export function wakeLater(config: ClaimConfig, state: ClaimState): ClaimState {
  const { rules } = config;
  const isCome = (at: number | null): boolean => at !== null && at <= state.now;
  const runs = rules.laterComesBack ? state.redis.later.flatMap((at, run) => (isCome(at) ? [run] : [])) : [];
  const later = state.redis.later.map((at, run) => (runs.includes(run) ? null : at));
  const next = makeReady(config, withRedis(state, { later }), runs);
  return rules.gapEnds && state.redis.opens.some(isCome) ? unpark(config, next) : next;
}

export function takePlace(state: ClaimState, run: number, token: number): ClaimState {
  const { places, tickets } = state.redis;
  return withRedis(state, {
    places: withAdded(places, run),
    tickets: tickets.with(run, { token, hasRunOut: false }),
  });
}

/** Ends a ticket; with its place, and the run then waits for a time, or leaves the index (null). */
export function endTicket(
  config: ClaimConfig,
  state: ClaimState,
  { run, token }: Operation,
  then: 'holds' | number | null,
): ClaimState {
  const ticket = state.redis.tickets[run];
  if (config.rules.answersCarryToken && ticket?.token !== token) return state;
  const tickets = state.redis.tickets.with(run, null);
  if (then === 'holds') return withRedis(state, { tickets });
  const freed = freePlaces(config, withRedis(state, { tickets }), [run]);
  const next = withRedis(freed, { later: freed.redis.later.with(run, then) });
  const isWrong = isAtWork(state.runs[run]) && state.redis.places.includes(run);
  return isWrong ? withClaimBroken(next, 'a refusal frees the place of a run at work') : next;
}

/** Takes runs out of whatever order they wait in. */
export const stopWaiting = (state: ClaimState, runs: readonly number[]): ClaimState => {
  const { ready, parked, later } = state.redis;
  return withRedis(state, {
    ready: ready.filter((run) => !runs.includes(run)),
    parked: parked.filter((run) => !runs.includes(run)),
    later: later.map((at, run) => (runs.includes(run) ? null : at)),
  });
};

/** Writes places, whatever the caps. */
export function hold({ rules }: ClaimConfig, state: ClaimState, runs: readonly number[]): ClaimState {
  const held = withRedis(state, { places: runs.reduce(withAdded, state.redis.places) });
  return rules.holdersStopWaiting ? stopWaiting(held, runs) : held;
}
