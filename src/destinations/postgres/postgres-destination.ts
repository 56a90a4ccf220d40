/** PostgreSQL as a destination; its memory is the schema `_penstock` beside the data. */
import { hasCode } from '../../domain/errors.ts';
import type { ConnectionAccess } from '../../ports/connection.ts';
import type { Destination } from '../../ports/destination.ts';
import { noKeptSessions, type Sessions } from '../../postgres-client/kept-sessions.ts';
import { rowOf } from '../../postgres-client/query.ts';
import { audit } from './audit.ts';
import { cleanUp } from './clean-up.ts';
import { closeRun, unknownRun } from './close-run.ts';
import { comparedRows } from './compared-rows.ts';
import {
  closeIdle,
  connecting,
  defaultTimeouts,
  inTransaction,
  withDestination,
  type DestinationContext,
  type DestinationTimeouts,
} from './destination-session.ts';
import { forecast } from './forecast.ts';
import { finishLoad, publishingBy, sumReceipt } from './finish-load.ts';
import { findLoad, insertLoad } from './load.ts';
import { fetchLastDone, fetchLoadRow, fetchOpenLoad, openLoadOf } from './load-row.ts';
import { listRejects } from './list-rejects.ts';
import { openWriter } from './partition-writer.ts';
import { acceptLoad, describeReset, resetSync } from './reset-sync.ts';
import { dropOrphans, listOpenRuns } from './orphans.ts';
import { holdsNothing, releaseSync } from './release-sync.ts';
import { ensureSchema } from './schema.ts';
import { takeOver } from './take-over.ts';
import { fetchCursor, keepCursor } from './cursor.ts';
import { describeTarget } from './describe-target.ts';

interface DestinationOptions {
  timeouts?: DestinationTimeouts;
  sessions?: Sessions;
}

/** Opens the destination; nothing is connected yet. */
export function openPostgresDestination(
  access: ConnectionAccess,
  { timeouts = defaultTimeouts, sessions = noKeptSessions }: DestinationOptions = {},
): Destination {
  const context: DestinationContext = { access, timeouts, sessions, idle: null };
  const wasUsed = async (): Promise<boolean> => {
    if (await inTransaction(context, 'Looking for _penstock', holdsNothing)) return false;
    await ensureSchema(context);
    return true;
  };
  return {
    ensureSchema: () => ensureSchema(context),
    check: () =>
      withDestination(context, connecting, (client) =>
        rowOf<{ version: string }>(
          client,
          timeouts.answerMs,
          `select current_setting('server_version') as version`,
        ),
      ),
    describeTarget: (target) =>
      inTransaction(context, 'Describing the target', (sql) => describeTarget(sql, target)),
    fetchCursor: (sync, plan) =>
      inTransaction(context, 'Reading the cursor', (sql) => fetchCursor(sql, sync, plan)),
    findLoad: (request) => inTransaction(context, 'Looking for the load', (sql) => findLoad(sql, request)),
    openLoad: (request) =>
      inTransaction(context, 'Opening the load', (sql) =>
        insertLoad(sql, { ...request, publishing: publishingBy(context, request.limits) }),
      ),
    fetchLoad: (load) =>
      inTransaction(context, 'Reading the load', async (sql) => {
        const row = await fetchLoadRow(sql, load);
        return row && openLoadOf(row, null);
      }),
    takeLease: (request) => openWriter(context, request),
    finish: (request) => finishLoad(context, request),
    closeRun: async (runId) => {
      try {
        await ensureSchema(context);
      } catch (error) {
        // Who may not create the schema has never opened a load in it, and never will.
        if (hasCode(error, 'DESTINATION_PERMISSION')) return unknownRun();
        throw error;
      }
      return inTransaction(context, 'Closing the run', (sql) => closeRun(sql, runId));
    },
    listRejects: async (sync, page) => {
      await ensureSchema(context);
      return inTransaction(context, 'Reading the rejects', (sql) => listRejects(sql, sync, page));
    },
    unfinishedLoad: async (sync) => {
      await ensureSchema(context);
      return inTransaction(context, 'Looking for an unfinished load', async (sql) => {
        const row = await fetchOpenLoad(sql, sync);
        return row && { loadId: row.id, mode: row.plan.mode, committed: await sumReceipt(sql, row.id) };
      });
    },
    takeOver: (request) =>
      inTransaction(context, 'Taking over from earlier copies', (sql) => takeOver(sql, request)),
    lastDoneLoad: (sync) =>
      inTransaction(context, 'Looking for the last load', (sql) => fetchLastDone(sql, sync)),
    forecast: (request) =>
      inTransaction(context, 'Looking at the target', (sql) =>
        forecast(sql, { ...request, role: access.databaseRole }),
      ),
    compare: (rows) => comparedRows(context, rows),
    acceptLoad: async (sync) => {
      await ensureSchema(context);
      await inTransaction(context, 'Accepting the load', (sql) => acceptLoad(sql, sync));
    },
    describeReset: async (sync) => {
      await ensureSchema(context);
      return inTransaction(context, 'Looking what a reset would meet', (sql) =>
        describeReset(sql, sync, access),
      );
    },
    keepCursor: async (sync) => {
      await ensureSchema(context);
      await inTransaction(context, 'Keeping the cursor', (sql) => keepCursor(sql, sync));
    },
    wasUsed,
    cleanUp: () => inTransaction(context, 'Forgetting old loads', cleanUp),
    listOpenRuns: (after) =>
      inTransaction(context, 'Looking for open runs', (sql) => listOpenRuns(sql, after)),
    dropOrphans: () => inTransaction(context, 'Dropping what is left of old loads', dropOrphans),
    audit: (recorded) => inTransaction(context, 'Auditing', (sql) => audit(sql, recorded)),
    resetSync: async (sync, { deleteRows }) => {
      await ensureSchema(context);
      await inTransaction(context, 'Resetting the sync', (sql) =>
        resetSync(sql, sync, { deleteRows, access }),
      );
    },
    releaseSync: async (sync) => {
      if (!(await wasUsed())) return;
      await inTransaction(context, 'Releasing the sync', (sql) => releaseSync(sql, sync));
    },
    close: () => closeIdle(context),
  };
}
