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
} from '../../ports/destination.ts';
import type { PartitionBounds } from '../../ports/source.ts';
import { connect, destroy, disconnect } from '../../postgres-client/connect.ts';
import { ident } from '../../postgres-client/quote.ts';
import { runAll } from '../../postgres-client/query.ts';
import { classifyDestinationError, sqlstateOf } from './classify-error.ts';
import { beginBatch, checkBegun, commitBatch } from './commit-protocol.ts';
import { CopyIn } from './copy-in.ts';
import type { DestinationContext } from './destination-session.ts';
import { takeLease, type TakenLease } from './lease.ts';
import type { Route } from './modes/mode.ts';
import { modeOf } from './modes/modes.ts';
import { fetchTargetColumns, maySwallowRows } from './target-columns.ts';
import { qualifiedName, rowsSwallowed } from './target-name.ts';

/** Takes the lease and connects the writer. */
export async function openWriter(context: DestinationContext, lease: LeaseRequest): Promise<PartitionWriter> {
  const taken = await takeLease(context, lease);
  let client: Client | undefined;
  try {
    client = await connect(context.access);
    const { relation, plan } = taken.load;
    const { answerMs } = context.timeouts;
    const names = plan.columns.map((column) => column.name);
    const columns = await fetchTargetColumns(client, answerMs, relation, names);
    const verify = await maySwallowRows(client, answerMs, relation);
    const route = modeOf(plan).route({
      client,
      load: taken.load,
      columns,
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
  #isOver = false;

  constructor(parts: WriterParts, route: Route) {
    const { plan } = parts.taken.load;
    this.#parts = parts;
    this.bounds = parts.taken.bounds;
    this.checkpoint = parts.taken.checkpoint;
    this.totals = { ...parts.taken.totals };
    this.#route = route;
    this.#target = qualifiedName(plan.target);
    this.#doing = `Writing ${plan.target.schema}.${plan.target.table}`;
  }

  retriesOtherwise(error: unknown): boolean {
    const otherwise = this.#route.otherwise(error);
    this.#route = otherwise ?? this.#route;
    return otherwise !== null;
  }

  begin(): Promise<void> {
    return this.#classified(async () => {
      const { context, client, taken } = this.#parts;
      const { plan } = taken.load;
      const role = context.access.databaseRole;
      const statements = [
        beginBatch(context, taken.lease, ident(plan.target.schema)),
        ...(role === undefined ? [] : [`set local role ${ident(role)}`]),
        ...(this.#route.prepare === undefined ? [] : [this.#route.prepare]),
      ];
      checkBegun(await this.#run(statements.join('; ')), this.checkpoint);
      const names = plan.columns.map((column) => ident(column.name)).join(', ');
      const sql = `copy ${this.#route.into} (${names}) from stdin (format ${plan.format})`;
      this.#copy = new CopyIn(client, sql, plan.format, context.timeouts.answerMs);
      await this.#copy.open();
    });
  }

  write(bytes: Buffer): Promise<void> {
    return this.#classified(() => this.#copy!.write(bytes));
  }

  commit(end: BatchEnd): Promise<BatchCounts> {
    return this.#classified(async () => {
      const counts = await this.#apply(end.rows);
      await this.#commit(end, counts);
      this.checkpoint = { batch: (this.checkpoint?.batch ?? 0) + 1, keyHi: end.keyHi, final: end.final };
      this.totals.rows += end.rows;
      this.totals.bytes += end.bytes;
      this.totals.batches++;
      return counts;
    });
  }

  rollback(): Promise<void> {
    return this.#classified(async () => {
      await this.#copy?.giveUp();
      this.#copy = null;
      await this.#run('rollback');
    });
  }

  async close(): Promise<void> {
    const { client } = this.#parts;
    if (this.#isOver) return;
    this.#isOver = true;
    // In mid-batch a goodbye would wait for rows: cutting the connection makes the server roll back at once.
    if (this.#copy) destroy(client);
    else await disconnect(client);
  }

  /** Ends COPY and applies what it brought. */
  async #apply(rows: number): Promise<BatchCounts> {
    const accepted = await this.#copy!.end();
    this.#copy = null;
    if (accepted !== rows) throw rowsSwallowed(this.#parts.taken.load.plan);
    return this.#route.apply(rows);
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
    });
    try {
      await this.#run(context.access.databaseRole === undefined ? sql : `set local role none; ${sql}`);
    } catch (error) {
      const sqlstate = sqlstateOf(error);
      const isAnswered = sqlstate !== undefined && !/^(57P|08)/.test(sqlstate);
      if (isAnswered) throw error;
      const text = `${this.#doing}: the connection was lost while the batch was being committed.`;
      throw new PenstockError('COMMIT_UNKNOWN', text, { cause: error });
    }
  }

  #run(sql: string) {
    return runAll(this.#parts.client, sql, this.#parts.context.timeouts.answerMs);
  }

  async #classified<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw classifyDestinationError(error, this.#doing);
    }
  }
}
