/** What a sync spec must hold beyond its shape: members that need or exclude each other. */
import { checkSchedule } from './check-schedule.ts';
import { PenstockError } from './errors.ts';
import { checkColumnMapping } from './column-mapping-spec.ts';
import { checkPlaceholders } from './placeholders.ts';
import type { SyncSpec } from './sync-spec.ts';
import { writeModes } from './write-modes.ts';

const refuse = (message: string, pointer: string): never => {
  throw new PenstockError('BAD_REQUEST', message, { pointer });
};

/** Schemas that are no place for a target: Penstock's own records and the server's. */
const reservedSchema = /^(_penstock|penstock|pg_.*|information_schema)\./;

/**
 * Checks a spec that has the right shape.
 * @throws PenstockError BAD_REQUEST with a pointer, or as `checkSchedule` does
 */
export function checkSyncSpec(spec: SyncSpec): void {
  const { mode, key, cursor, destination, scope = {}, softDelete, deletedWhen } = spec;
  const { onlyAdds, keyed, takesTombstones, absentRows } = writeModes[mode];
  checkSchedule(spec.schedule);
  checkPlaceholders(spec);
  if (spec.columns) checkColumnMapping(spec.columns);
  if (keyed && key.length === 0)
    refuse(`mode ${mode} needs a key: name the columns that identify a row`, '/key');
  const double = key.findIndex((column, index) => key.indexOf(column) < index);
  if (double >= 0) refuse(`key names ${key[double]} twice`, `/key/${double}`);
  if (onlyAdds && cursor?.lookback !== undefined)
    refuse('lookback reads rows again, which append would write again: use upsert', '/cursor/lookback');
  if (cursor && absentRows !== 'kept')
    refuse(
      `mode ${mode} reads the whole result in every run, or it could not tell which rows are gone: remove the cursor, or use upsert`,
      '/cursor',
    );
  if (deletedWhen !== undefined && !takesTombstones)
    refuse(
      `deletedWhen goes with mode upsert: remove it, or leave such rows out in the query`,
      '/deletedWhen',
    );
  if (deletedWhen !== undefined && key.includes(deletedWhen))
    refuse('deletedWhen cannot be a column of the key', '/deletedWhen');
  if (softDelete !== undefined && absentRows !== 'deleted' && deletedWhen === undefined)
    refuse(
      `mode ${mode} marks no rows: softDelete goes with mirror, and with upsert and deletedWhen`,
      '/softDelete',
    );
  if (softDelete !== undefined && key.includes(softDelete))
    refuse('softDelete cannot be a column of the key', '/softDelete');
  if (softDelete !== undefined && Object.hasOwn(scope, softDelete))
    refuse('softDelete cannot be a column of the scope', '/softDelete');
  if (spec.keepPrevious) checkKeepPrevious(spec);
  checkPolicies(spec);
  if (spec.skipIfUnchanged !== undefined && cursor)
    refuse(
      'with a cursor a run reads no more than what is new, and what was not safe to read yet must be read later: leave skipIfUnchanged out',
      '/skipIfUnchanged',
    );
  if (destination.table.split('.').some((name) => new TextEncoder().encode(name).length > 63))
    refuse(
      'names of schemas and tables have 63 bytes at most: the server would cut it',
      '/destination/table',
    );
  if (reservedSchema.test(destination.table))
    refuse('the schema of the table is reserved: choose another', '/destination/table');
}

/** Each of several runs needs somewhere to wait for the one before it. */
function checkPolicies({ catchUp, overlap }: SyncSpec): void {
  if (catchUp.policy === 'all' && overlap !== 'buffer_all')
    refuse(
      `catch-up runs all due times that have passed, one after the other, and overlap ${overlap} would skip them: use overlap buffer_all, or policy one`,
      '/catchUp/policy',
    );
}

/** What a kept table's name is made of: `<table>_previous`, in at most 63 bytes. */
const previousSuffixBytes = 9;

function checkKeepPrevious({ mode, destination, scope = {} }: SyncSpec): void {
  if (writeModes[mode].absentRows !== 'replaced')
    refuse('only mode replace has a table before: leave keepPrevious out', '/keepPrevious');
  if (Object.keys(scope).length > 0)
    refuse(
      'keepPrevious keeps a whole table, of which a scope is a part: leave one of them out',
      '/keepPrevious',
    );
  const table = destination.table.slice(destination.table.indexOf('.') + 1);
  if (new TextEncoder().encode(table).length > 63 - previousSuffixBytes)
    refuse('keepPrevious needs a table name of at most 54 bytes', '/destination/table');
}
