/** The flags of `penstock copy` as a sync spec, so that a copy is checked, planned and done as a sync is. */
import { readFileSync } from 'node:fs';
import { checkSyncSpec } from '../domain/check-sync-spec.ts';
import { codeOf, PenstockError } from '../domain/errors.ts';
import { syncSpecSchema, type SyncSpec } from '../domain/sync-spec.ts';
import type { CommandInput, CommandOption } from './command.ts';
import { textOf } from './connect-client.ts';

type Flags = CommandInput['options'];

/** Where in the spec each flag belongs. */
const members: Readonly<Record<string, string>> = {
  name: '--name',
  'source.query': '--query',
  'destination.table': '--table',
  mode: '--mode',
  key: '--key',
  'cursor.column': '--cursor',
  'cursor.lookback': '--lookback',
  'cursor.lag': '--lag',
  'limits.parallel': '--parallel',
  'limits.batchRows': '--batch-rows',
  'limits.batchBytes': '--batch-bytes',
  'limits.maxDeletePercent': '--max-delete-percent',
  'limits.maxRejects': '--max-rejects',
  onSchemaChange: '--on-schema-change',
  scope: '--scope',
  softDelete: '--soft-delete',
  deletedWhen: '--deleted-when',
};

export const specOptions: readonly CommandOption[] = [
  { flag: '--query <sql>', doc: 'one SELECT' },
  { flag: '--query-file <path>', doc: 'the same from a file; - is standard input' },
  { flag: '--table <table>', doc: 'table or schema.table; made when it is not there' },
  { flag: '--mode <mode>', doc: `one of ${syncSpecSchema.shape.mode.options.join(', ')}`, default: 'append' },
  { flag: '--key <columns>', doc: 'columns that identify a row, with commas between' },
  { flag: '--cursor <column>', doc: 'only rows whose value is greater than at the last copy' },
  { flag: '--lookback <duration>', doc: 'read again so much below the cursor (upsert)' },
  { flag: '--lag <duration>', doc: 'how long to wait for transactions that may commit smaller values' },
  { flag: '--parallel <n>', doc: 'partitions copied at once' },
  { flag: '--batch-rows <n>', doc: 'rows that one transaction commits at most' },
  { flag: '--batch-bytes <size>', doc: 'bytes that one transaction commits at most, as 16MiB' },
  {
    flag: '--scope <values>',
    doc: 'its rows of a table that others write too: column=value, with commas between',
  },
  { flag: '--deleted-when <column>', doc: 'delete the keys of rows where it is true or not NULL (upsert)' },
  { flag: '--soft-delete <column>', doc: 'mark rows in this column instead of deleting them' },
  { flag: '--max-delete-percent <n>', doc: 'delete as many of the rows at most, else none (mirror; 20)' },
  { flag: '--max-rejects <n>', doc: 'rows that may be left out because the target refuses them (0)' },
  { flag: '--on-schema-change <what>', doc: 'fail, or add_columns that the target has not (fail)' },
  {
    flag: '--name <name>',
    doc: 'tells copies into one table apart, each with its own cursor and unfinished load',
    default: 'copy',
  },
];

/** Throws CONFIG, naming the flag. */
export function specOfFlags(flags: Flags): SyncSpec {
  const parsed = syncSpecSchema.safeParse({
    name: flags['name'],
    source: { connection: 'from', query: queryOf(flags) },
    destination: { connection: 'to', table: needed(flags, 'table') },
    mode: flags['mode'],
    key: textOf(flags['key'])
      ?.split(',')
      .map((column) => column.trim()),
    ...(flags['cursor'] !== undefined && {
      cursor: { column: flags['cursor'], lookback: flags['lookback'], lag: flags['lag'] },
    }),
    scope: scopeOfFlags(flags),
    softDelete: flags['softDelete'],
    deletedWhen: flags['deletedWhen'],
    onSchemaChange: flags['onSchemaChange'],
    limits: {
      parallel: numberOf(flags['parallel']),
      batchRows: numberOf(flags['batchRows']),
      batchBytes: flags['batchBytes'],
      maxDeletePercent: numberOf(flags['maxDeletePercent']),
      maxRejects: numberOf(flags['maxRejects']),
    },
  });
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    const flag = members[path.filter((part) => typeof part === 'string').join('.')];
    throw new PenstockError('CONFIG', `${flag ?? path.join('.')}: ${message}`);
  }
  try {
    checkSyncSpec(parsed.data);
  } catch (error) {
    throw codeOf(error) === 'BAD_REQUEST' ? new PenstockError('CONFIG', (error as Error).message) : error;
  }
  return parsed.data;
}

/** Throws CONFIG. */
export function scopeOfFlags(flags: Flags): Record<string, string> | undefined {
  const text = textOf(flags['scope']);
  if (text === undefined) return undefined;
  const entries = text.split(',').map((each) => /^([^=]+)=(.*)$/s.exec(each.trim()));
  if (entries.includes(null)) throw new PenstockError('CONFIG', '--scope: column=value, with commas between');
  return Object.fromEntries(entries.map((entry) => [entry![1]!, entry![2]!]));
}

const numberOf = (value: string | true | undefined): number | undefined =>
  value === undefined ? undefined : Number(value);

function needed(flags: Flags, name: string): string {
  const value = textOf(flags[name]);
  if (value === undefined) throw new PenstockError('CONFIG', `--${name} is missing`);
  return value;
}

function queryOf(flags: Flags): string {
  const file = textOf(flags['queryFile']);
  if (file === undefined) return needed(flags, 'query');
  if (flags['query'] !== undefined)
    throw new PenstockError('CONFIG', '--query and --query-file are one too many');
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    const { code } = cause as { code?: string };
    throw new PenstockError('CONFIG', `--query-file: ${file} cannot be read (${code})`, { cause });
  }
}
