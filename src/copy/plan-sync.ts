/**
 * What a run of a sync would do, found out without writing: the same probe, plan and checks as the run's own, but every
 * refusal is told, not the first one only. What is refused is left out of the spec, and the rest is looked at without it.
 */
import { checkSyncSpec } from '../domain/check-sync-spec.ts';
import { isOurs } from '../domain/describe-error.ts';
import { cureOf, type PenstockError } from '../domain/errors.ts';
import type { SyncId } from '../domain/ids.ts';
import { leaveOut } from '../domain/leave-out.ts';
import type { PlanRefusal, SyncPlan } from '../domain/sync-plan.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { Destination, LoadPlan, TargetForecast } from '../ports/destination.ts';
import type { QueryProbe, Source } from '../ports/source.ts';
import { describeColumns, describeKey, describeRead } from './describe-plan.ts';
import { describeCursor, describeDeletes, describeUnfinished } from './describe-fate.ts';
import { parseTableName, planLoad } from './plan-load.ts';
import { probeOf } from './prepare-load.ts';

export interface PlanRequest {
  /** Of a spec that is no sync yet: a new one. */
  sync: SyncId;
  syncVersion: number;
  spec: SyncSpec;
  /** What is known to be refused already. */
  refusals?: readonly PenstockError[];
}

/** Ends that cannot be opened are null: why is among the refusals. */
export interface PlanDeps {
  source: Source | null;
  destination: Destination | null;
}

/** Throws only what nobody expected. */
export async function planSync({ source, destination }: PlanDeps, request: PlanRequest): Promise<SyncPlan> {
  const found = new Refusals(request.spec, request.refusals ?? []);
  await found.trying((spec) => checkSyncSpec(spec));
  if (source)
    await found.trying(({ skipIfUnchanged }) =>
      skipIfUnchanged === undefined ? null : source.fetchFingerprint(skipIfUnchanged),
    );
  const probe = source && (await found.trying((spec) => source.probe(probeOf(spec))));
  const target =
    destination &&
    (await found.trying((spec) => destination.describeTarget(parseTableName(spec.destination.table))));
  const plan =
    probe && target ? await found.trying((spec) => planLoad({ ...request, spec, probe, target })) : null;
  const forecast =
    plan && destination
      ? await found.trying(({ keepPrevious = false, onSchemaChange }) =>
          destination.forecast({ sync: request.sync, plan, keepPrevious, onSchemaChange }),
        )
      : null;
  for (const refusal of forecast?.refusals ?? []) found.add(refusal);
  return describe(found, { probe, target, plan, forecast, spec: found.spec });
}

/** The spec as far as it is not refused, and why the rest of it is. */
class Refusals {
  spec: SyncSpec;
  readonly list: PlanRefusal[] = [];
  readonly #given: SyncSpec;

  constructor(spec: SyncSpec, known: readonly PenstockError[]) {
    this.spec = spec;
    this.#given = spec;
    for (const refusal of known) this.add(refusal);
  }

  /** Null when what is refused cannot be left out. */
  async trying<T>(work: (spec: SyncSpec) => Promise<T> | T): Promise<T | null> {
    for (;;) {
      try {
        return await work(this.spec);
      } catch (error) {
        if (!isOurs(error)) throw error;
        this.add(error);
        const rest = leaveOut(this.spec, error.pointer);
        if (!rest) return null;
        this.spec = rest;
      }
    }
  }

  add({ code, message, pointer }: PenstockError): void {
    const at = this.#inGiven(pointer) ?? usualPlace(code);
    if (this.list.some((known) => known.code === code && known.pointer === at && known.message === message))
      return;
    this.list.push({ code, message, pointer: at, cure: cureOf(code) });
  }

  /** Items of a list have moved up where others were left out. */
  #inGiven(pointer: string | undefined): string | undefined {
    const [, list, at] = /^(.+)\/(\d+)$/.exec(pointer ?? '') ?? [];
    const [given, now] = [this.#given, this.spec].map((spec) => memberAt(spec, list ?? ''));
    if (!Array.isArray(given) || !Array.isArray(now)) return pointer;
    return `${list}/${given.indexOf(now[Number(at)])}`;
  }
}

const memberAt = (spec: SyncSpec, pointer: string): unknown =>
  pointer
    .split('/')
    .slice(1)
    .reduce<unknown>((member, name) => (member as Record<string, unknown> | undefined)?.[name], spec);

/** Where to change something about errors that do not say. */
function usualPlace(code: string): string | null {
  if (/^SOURCE_(UNREACHABLE|AUTH)$/.test(code)) return '/source/connection';
  if (code.startsWith('SOURCE_')) return '/source/query';
  if (code.startsWith('DESTINATION_')) return '/destination/connection';
  return code.startsWith('TARGET_') ? '/destination/table' : null;
}

interface Found {
  probe: QueryProbe | null;
  target: Awaited<ReturnType<Destination['describeTarget']>> | null;
  plan: LoadPlan | null;
  forecast: TargetForecast | null;
  /** As far as it is not refused. */
  spec: SyncSpec;
}

function describe(found: Refusals, { probe, target, plan, forecast, spec }: Found): SyncPlan {
  const cursor = plan && forecast && describeCursor(plan, forecast);
  const unfinishedLoad = forecast && describeUnfinished(forecast);
  if (cursor?.becomes === 'refused') found.list.push(refusalOf('CURSOR_CHANGED', cursor.why));
  if (unfinishedLoad?.becomes === 'refused')
    found.list.push(refusalOf('UNFINISHED_LOAD', unfinishedLoad.why));
  const read = probe && plan && describeRead(probe, plan);
  const key = probe && plan && describeKey(probe, plan);
  const refused = found.list.map(({ code }) => code);
  return {
    ok: found.list.length === 0,
    refusals: found.list,
    warnings: warningsOf({ probe, plan, spec }),
    read,
    key,
    columns: probe && target ? describeColumns({ probe, spec, target: target.columns }) : [],
    target: target && {
      table: `${target.target.schema}.${target.target.table}`,
      exists: forecast?.exists ?? target.columns !== null,
      estimatedRows: forecast?.estimatedRows ?? null,
      ddl: refused.includes('TARGET_MISMATCH') ? [] : (forecast?.ddl ?? []),
    },
    locks: forecast?.locks ?? [],
    deletes:
      probe && plan && forecast && describeDeletes(probe, plan, forecast, spec.limits.maxDeletePercent),
    cursor,
    unfinishedLoad,
  };
}

const refusalOf = (code: 'CURSOR_CHANGED' | 'UNFINISHED_LOAD', message: string): PlanRefusal => ({
  code,
  message,
  pointer: null,
  cure: cureOf(code),
});

function warningsOf({ probe, plan, spec }: Pick<Found, 'probe' | 'plan' | 'spec'>): string[] {
  if (!probe || !plan) return [];
  const key = spec.key.join(', ');
  return [
    ...(plan.order.length > 0 && probe.sortsForKey
      ? [
          `The source sorts the whole result by ${key} at every attempt: an index on it would give the rows at once.`,
        ]
      : []),
    ...(plan.reader === 'copy'
      ? []
      : ['The source has no COPY: its rows are fetched through a cursor, which is several times slower.']),
    ...(plan.resumable ? [] : ['What is read before an interruption is read again.']),
    ...(spec.limits.parallel > 1 && !plan.resumable
      ? [
          'It is read as one partition whatever limits.parallel says, because it cannot be continued after a key.',
        ]
      : []),
  ];
}
