/** An attempt's hold on a partition: its connection, its lease, and one batch transaction at a time. */
import type { Client } from 'pg';
import { PenstockError } from '../../domain/errors.ts';
import type {
  BatchCounts,
  BatchEnd,
  Checkpoint,
  LeaseRequest,
  PartitionTotals,
  PartitionWriter,
  Refusal,
  Reject,
} from '../../ports/partition-writer.ts';
import type { PartitionBounds } from '../../ports/source.ts';
import { destroy, disconnect } from '../../postgres-client/connect.ts';
import { ident, identList } from '../../postgres-client/quote.ts';
import { rowsOf, runAll } from '../../postgres-client/query.ts';
import { sqlstateOf } from '../../postgres-client/driver-errors.ts';
import { classifyDestinationError } from './classify-error.ts';
import { BatchInParts } from './batch-in-parts.ts';
import {
  beginBatch,
  checkBegun,
  commitBatch,
  hasBegun,
  rejectedRows,
  stopUnlessHeld,
} from './commit-protocol.ts';
import { CopyIn } from './copy-in.ts';
import { takeConnection, type DestinationContext, type SqlRows } from './destination-session.ts';
import { explainWriteError } from './explain-write-error.ts';
import { fetchSameKey, noneIsSame } from './key-index.ts';
import { takeLease, type TakenLease } from './lease.ts';
import type { Route } from './modes/mode.ts';
import { modeOf } from './modes/modes.ts';
import { refusalOf } from './refusal.ts';
import { insertRejects, lockRejected, tooManyRejects } from './rejects.ts';
import { writtenColumns } from './scoped.ts';
import { fetchTargetColumns, maySwallowRows, nameUnwritten } from './target-columns.ts';
import { qualifiedName, rowsSwallowed } from './target-name.ts';

/**
 * So many batches in a row may begin with the commit before. Between two such the connection is never without a
 * transaction, and a pooler gives its server connection to nobody else.
 */
const maxChained = 9;

/** Takes the lease, and goes on writing over the same connection. */
export async function openWriter(context: DestinationContext, lease: LeaseRequest): Promise<PartitionWriter> {
  const taken = await takeLease(context, lease);
  let client: Client | undefined;
  try {
    client = await takeConnection(context);
    const { relation, plan } = taken.load;
    const { answerMs } = context.timeouts;
    const names = plan.columns.map((column) => column.name);
    const columns = await fetchTargetColumns(client, answerMs, relation, names);
    const missing = plan.columns.filter(({ name }) => !columns.some((column) => column.name === name));
    const unwritten = missing.length === 0 ? [] : await nameUnwritten(client, answerMs, missing);
    const ask: SqlRows = (sql, values) => rowsOf(client!, answerMs, sql, values);
    const mode = modeOf(plan);
    const sameKey = mode.keyed ? await fetchSameKey(ask, relation, plan) : noneIsSame;
    const verify = mode.keyed && (await maySwallowRows(client, answerMs, relation));
    const route = mode.route({
      client,
      load: taken.load,
      columns,
      unwritten,
      sameKey,
      verify,
      role: context.access.databaseRole,
      answerMs,
    });
    return new Writer({ context, client, taken }, route);
  } catch (error) {
    if (client) await disconnect(client);
    throw classifyDestinationError(error, 'Opening the writer');
  }
}

interface WriterParts {
  context: DestinationContext;
  client: Client;
  taken: TakenLease;
}

class Writer implements PartitionWriter {
  readonly bounds: PartitionBounds;
  checkpoint: Checkpoint | null;
  readonly totals: PartitionTotals;
  readonly #parts: WriterParts;
  readonly #doing: string;
  readonly #target: string;
  #route: Route;
  #copy: CopyIn | null = null;
  #inParts: BatchInParts | null = null;
  /** Of the next batch, when it began with the last commit. */
  #next: CopyIn | null = null;
  /** Batches in a row that began with the commit before. */
  #chained = 0;
  #rejected: number;
  #isOver = false;

  constructor(parts: WriterParts, route: Route) {
    const { plan } = parts.taken.load;
    this.#parts = parts;
    this.bounds = parts.taken.bounds;
    this.checkpoint = parts.taken.checkpoint;
    this.totals = { ...parts.taken.totals };
    this.#route = route;
    this.#rejected = parts.taken.rejected;
    this.#target = qualifiedName(plan.target);
    this.#doing = `Writing ${plan.target.schema}.${plan.target.table}`;
  }

  retriesOtherwise(error: unknown): boolean {
    const otherwise = this.#route.otherwise(error);
    this.#route = otherwise ?? this.#route;
    return otherwise !== null;
  }

  refusalOf(error: unknown): Refusal | null {
    return refusalOf((error as { cause?: unknown }).cause ?? {});
  }

  get rejectsLeft(): number {
    return this.#maxRejects - this.#rejected;
  }

  begin(): Promise<void> {
    return this.#classified(async () => {
      const copy = this.#next ?? this.#copyOfBatch();
      this.#next = null;
      this.#copy = copy;
      const failure = await copy.open().then(
        () => null,
        (error: unknown) => ({ error }),
      );
      // Whoever was replaced is told that, whatever else there was.
      if (!failure || hasBegun(copy.answers)) checkBegun(copy.answers, this.checkpoint);
      if (failure) throw failure.error;
    });
  }

  beginParts(): Promise<void> {
    return this.#classified(async () => {
      this.#route = this.#route.inParts ?? this.#route;
      checkBegun(await this.#run(this.#beginning()), this.checkpoint);
      this.#inParts = new BatchInParts({
        openCopy: async (before) => {
          const copy = this.#copyAfter(before);
          await copy.open();
          return copy;
        },
        apply: (copy, rows) => this.#apply(copy, rows),
        clear: this.#route.clear,
      });
    });
  }

  writePart(part: { bytes: readonly Buffer[]; rows: number }): Promise<Refusal | null> {
    return this.#classified(() => this.#inParts!.write(part));
  }

  write(bytes: Buffer): Promise<void> {
    return this.#classified(() => this.#copy!.write(bytes));
  }

  commit(end: BatchEnd): Promise<BatchCounts> {
    return this.#classified(async () => {
      const counts = await this.#end(end);
      await this.#commit(end, counts);
      this.#copy = this.#inParts = null;
      this.#rejected += rejectedRows(end);
      this.checkpoint = { batch: (this.checkpoint?.batch ?? 0) + 1, keyHi: end.keyHi, final: end.final };
      this.totals.rows += end.rows;
      this.totals.bytes += end.bytes;
      this.totals.batches++;
      return counts;
    });
  }

  rollback(): Promise<void> {
    return this.#classified(() => this.#rollback());
  }

  stopFor(rejects: readonly Reject[]): Promise<never> {
    return this.#classified(async () => {
      await this.#rollback();
      checkBegun(await this.#run(this.#takeHold()), this.checkpoint);
      await this.#insertRejects(rejects, { stopped: true });
      await this.#run('commit');
      throw tooManyRejects(this.#parts.taken.load, rejects[0]!, this.#maxRejects);
    });
  }

  async close(): Promise<void> {
    const { client, context } = this.#parts;
    if (this.#isOver) return;
    this.#isOver = true;
    // In mid-batch a goodbye would wait for rows: cutting the connection makes the server roll back at once.
    if (this.#copy || this.#inParts || this.#next) destroy(client);
    else if (this.checkpoint?.final) await context.sessions.giveBack(client);
    else await disconnect(client);
  }

  /** The statements that begin a batch: what they answer goes to `checkBegun` before any row is sent. */
  #beginning(more: readonly string[] = []): string {
    const role = this.#parts.context.access.databaseRole;
    return [
      this.#takeHold(),
      ...more,
      ...(role === undefined ? [] : [`set local role ${ident(role)}`]),
      ...(this.#route.prepare === undefined ? [] : [this.#route.prepare]),
    ].join('; ');
  }

  /** They begin the transaction of a batch, while the lease is held. */
  #takeHold(): string {
    const { context, taken } = this.#parts;
    return beginBatch(context, taken.lease, ident(taken.load.plan.target.schema));
  }

  /** A batch from its first statement on; the server itself opens no COPY for a writer that was replaced. */
  #copyOfBatch(before = ''): CopyIn {
    return this.#copyAfter(`${before}${this.#beginning([stopUnlessHeld(this.#parts.taken.lease)])}; `);
  }

  /** @param before statements that go in the same round trip */
  #copyAfter(before: string): CopyIn {
    const { context, client, taken } = this.#parts;
    const { columns, format } = taken.load.plan;
    const names = identList(columns.map(({ name }) => name));
    const sql = `${before}copy ${this.#route.into} (${names}) from stdin (format ${format})`;
    return new CopyIn(client, sql, format, context.timeouts.answerMs);
  }

  async #rollback(): Promise<void> {
    await (this.#copy ?? this.#next)?.giveUp();
    this.#copy = this.#next = this.#inParts = null;
    await this.#run('rollback');
  }

  /** Ends COPY and applies what it brought. */
  async #apply(copy: CopyIn, rows: number): Promise<BatchCounts> {
    const accepted = await copy.end();
    if (accepted !== rows) throw rowsSwallowed(this.#parts.taken.load.plan);
    return this.#route.apply(rows);
  }

  /** Applies the batch. Of one in parts that has been done; its rejects are recorded, unless they are too many. */
  async #end(end: BatchEnd): Promise<BatchCounts> {
    if (!this.#inParts) {
      const counts = await this.#apply(this.#copy!, end.rows);
      this.#route = this.#route.after?.(counts, end.rows) ?? this.#route;
      return counts;
    }
    const { counts } = this.#inParts;
    const { rejects = [] } = end;
    await this.#run(`${this.#inParts.end()}set local role none`);
    if (rejects.length === 0) return counts;
    this.#rejected = await lockRejected(this.#runOne, this.#parts.taken.load.id);
    if (rejectedRows(end) > this.rejectsLeft) await this.stopFor(rejects);
    await this.#insertRejects(rejects, { stopped: false });
    await this.#route.noteRefused?.(rejects.flatMap(({ key }) => (key === null ? [] : [key])));
    return counts;
  }

  #insertRejects(rejects: readonly Reject[], { stopped }: { stopped: boolean }): Promise<void> {
    const { load, lease } = this.#parts.taken;
    const batch = (this.checkpoint?.batch ?? 0) + 1;
    return insertRejects(this.#runOne, { load, partition: lease.partition, batch, stopped }, rejects);
  }

  async #commit(end: BatchEnd, counts: BatchCounts): Promise<void> {
    const { context, taken } = this.#parts;
    const sql = commitBatch({
      lease: taken.lease,
      known: this.checkpoint,
      end,
      counts,
      target: this.#target,
      relation: taken.load.relation,
      columns: writtenColumns(taken.load.plan),
      columnsState: taken.load.columnsState,
    });
    const commit = context.access.databaseRole === undefined ? sql : `set local role none; ${sql}`;
    const next = end.goesOn && this.#chained < maxChained ? this.#copyOfBatch(`${commit}; `) : null;
    this.#chained = next ? this.#chained + 1 : 0;
    try {
      await (next ? next.open() : this.#run(commit));
    } catch (error) {
      // Where the commit was answered it is the next batch that failed, which finds that out when it begins.
      if (!next?.answers.some(({ command }) => command === 'COMMIT')) throw this.#notCommitted(error);
    }
    this.#next = next;
  }

  #notCommitted(error: unknown): unknown {
    const sqlstate = sqlstateOf(error);
    const isAnswered = sqlstate !== undefined && !/^(57P|08)/.test(sqlstate);
    if (isAnswered) return error;
    const text = `${this.#doing}: the connection was lost while the batch was being committed.`;
    return new PenstockError('COMMIT_UNKNOWN', text, { cause: error });
  }

  get #maxRejects(): number {
    return this.#parts.taken.lease.maxRejects ?? 0;
  }

  readonly #runOne: SqlRows = (sql, values) =>
    rowsOf(this.#parts.client, this.#parts.context.timeouts.answerMs, sql, values);

  #run(sql: string) {
    return runAll(this.#parts.client, sql, this.#parts.context.timeouts.answerMs);
  }

  async #classified<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { context, taken } = this.#parts;
      throw await explainWriteError(context, taken.load, this.#doing, error);
    }
  }
}
