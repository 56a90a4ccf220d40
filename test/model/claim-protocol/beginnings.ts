/** What may begin in a state: the operations of dispatchers, with the first step of each. */
import type { Step } from '../explore.ts';
import { admitHead, takePlace, wakeLater } from './index.ts';
import { isGone, offerable, runsWhere, settle, tell } from './rows.ts';
import { begun, freeToken, never, nextDueOf, tenantOf, withRedis } from './state.ts';
import type { ClaimConfig, ClaimState, Operation, OperationKind } from './state.ts';

const add = (next: ClaimState, operation: Parameters<typeof begun>[0]): ClaimState => ({
  ...next,
  operations: [...next.operations, begun(operation)],
});

/** New operations that may begin now. */
export function beginSteps(config: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  const { scenario, rules } = config;
  const isFree = (kind: OperationKind): boolean =>
    state.operations.filter((each) => each.kind === kind).length < (scenario.parallel[kind] ?? 0);
  const steps: Step<ClaimState>[] = [];
  if (isFree('tick')) steps.push(...claims(config, state));
  if (isFree('admit')) steps.push(...admissions(config, state));
  if (isFree('places'))
    steps.push({ label: 'sweep: places', next: add(state, { kind: 'places', at: 'fetch' }) });
  if (isFree('offer') && rules.sweepOffers) steps.push(...offers(config, state));
  if (isFree('overdue') && rules.sweepSettles) steps.push(...overdue(config, state));
  if (isFree('stuck') && rules.sweepStarts) {
    for (const run of runsWhere(state, (row) => row.status === 'starting')) {
      steps.push({
        label: `sweep: reads that run ${run} is starting`,
        next: add(state, { kind: 'stuck', at: 'launch', run }),
      });
    }
  }
  if (isFree('reconcile')) steps.push(...reconciliations(config, state));
  if (isFree('refill') && state.redis.marker !== 'all' && state.redis.refiller === 0) {
    const token = freeToken(state);
    const at = rules.refillPlacesFirst ? 'holders' : 'markPlaces';
    steps.push({
      label: `refill begins (${token})`,
      next: add(withRedis(state, { refiller: token }), { kind: 'refill', at, token }),
    });
  }
  return steps;
}

function claims({ scenario, rules }: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  return state.redis.due.flatMap((entry, sync) => {
    if (!entry || entry.at > state.now + scenario.ahead * 2) return [];
    const token = freeToken(state);
    const lent = rules.claimMoves ? { at: never, token } : null;
    const next = withRedis(state, { due: state.redis.due.with(sync, lent) });
    return [
      {
        label: `sync ${sync} is claimed (${token})`,
        next: add(next, { kind: 'tick', at: 'settle', sync, token }),
      },
    ];
  });
}

function admissions(config: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  const { scenario, rules } = config;
  const { redis } = state;
  if (rules.admitWaitsForPlaces && redis.marker === '') return [];
  const token = freeToken(state);
  const steps = redis.tickets.flatMap((ticket, run) => {
    if (!ticket?.hasRunOut || !rules.ticketsRunOut) return [];
    const next = withRedis(state, { tickets: redis.tickets.with(run, { token, hasRunOut: false }) });
    return [
      {
        label: `the ticket of run ${run} is handed on (${token})`,
        next: add(next, { kind: 'admit', at: 'ask', run, token }),
      },
    ];
  });
  if ([...redis.later, ...redis.opens].some((at) => at !== null && at <= state.now))
    steps.push({ label: 'what has waited for a time goes on', next: wakeLater(config, state) });
  if (redis.places.length >= scenario.cap) return steps;
  const heads = redis.ready.filter(
    (run) => !scenario.tenant || redis.tenants.includes(tenantOf(scenario, run)),
  );
  for (const run of heads) {
    const { state: next, isAdmitted } = admitHead(config, state, run);
    const ticket: Parameters<typeof begun>[0] = {
      kind: 'admit',
      at: rules.admitTakesPlace ? 'ask' : 'place',
      run,
      token,
    };
    steps.push(
      isAdmitted
        ? {
            label: `run ${run} is admitted (${token})`,
            next: add(rules.admitTakesPlace ? takePlace(next, run, token) : next, ticket),
          }
        : { label: `run ${run} is set aside`, next },
    );
  }
  return steps;
}

/** Waiting runs that the index does not look at. */
function offers(config: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  const { ready, tenants } = state.redis;
  const isLookedAt = (run: number): boolean =>
    ready.includes(run) && (!config.scenario.tenant || tenants.includes(tenantOf(config.scenario, run)));
  const read = offerable(config, state).filter((run) => !isLookedAt(run));
  if (read.length === 0) return [];
  return [{ label: 'sweep: reads waiting runs', next: add(state, { kind: 'offer', at: 'offer', read }) }];
}

function overdue(config: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  return state.syncs.flatMap((row, sync) => {
    const due = nextDueOf(config.scenario, state, sync);
    if (due === null || due > state.now) return [];
    const settled = settle(config, state, sync, row.settled);
    const next = nextDueOf(config.scenario, settled.state, sync);
    const rest: Partial<Operation> = { sync, read: settled.runs, next, version: row.version };
    return [
      {
        label: `sweep: settles sync ${sync}`,
        next: add(settled.state, { kind: 'overdue', at: 'publish', ...rest }),
      },
    ];
  });
}

/** Workflows that should end are asked again; runs that the engine has lost are made final. */
function reconciliations(config: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  return state.runs.flatMap((row, run) => {
    if (
      row.status === 'cancelling' &&
      row.workflow === 'open' &&
      !row.isTold &&
      config.rules.cancelIsRepeated
    )
      return [{ label: `reconcile: asks run ${run} to cancel`, next: tell(state, [run]) }];
    if (!isGone(config, row)) return [];
    const next = add(state, { kind: 'reconcile', at: 'close', run });
    return [{ label: `reconcile: finds that run ${run} is gone`, next }];
  });
}
