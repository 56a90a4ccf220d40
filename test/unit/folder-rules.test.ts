/**
 * The linter's folder rules, kept alive: this table says who may import whom, every cell of it is planted as a file in
 * a scratch copy of the tree, one oxlint run judges them all, and what it refuses must be exactly what the table forbids.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '../..');

interface Row {
  /** Where its planted files go; the folder's own name unless it is one folder per kind. */
  readonly at?: string;
  /** Other folders whose values and types it may import. */
  readonly folders: readonly string[];
  /** Folders of which it may import types only. */
  readonly types?: readonly string[];
  /** Of the packages below, those that it may import. */
  readonly npm: readonly string[];
}

const packages = [
  '@fastify/swagger',
  '@temporalio/activity',
  '@temporalio/client',
  '@temporalio/worker',
  '@temporalio/workflow',
  'commander',
  'cron-parser',
  'fastify',
  'ioredis',
  'node:crypto',
  'node:fs',
  'node:fs/promises',
  'node:process',
  'node:timers/promises',
  'pg',
  'pg-copy-streams',
  'pg-query-stream',
  'pino',
  'uuid',
  'zod',
];
const node = ['node:crypto', 'node:fs', 'node:fs/promises', 'node:timers/promises'];
const anyPackage = packages.filter((name) => name !== 'node:process');

const rows: Record<string, Row> = {
  activities: { folders: ['copy', 'domain', 'ports', 'telemetry'], npm: ['@temporalio/activity', ...node] },
  api: { folders: ['domain', 'ports', 'telemetry'], npm: ['@fastify/swagger', 'fastify', 'zod', ...node] },
  cli: {
    folders: ['client', 'config', 'dev', 'domain', 'telemetry', 'workers'],
    npm: ['commander', ...node],
  },
  client: { folders: ['domain'], npm: [] },
  config: { folders: ['domain'], npm: ['zod', 'node:process', ...node] },
  copy: { folders: ['domain', 'ports'], npm: node },
  destinations: {
    at: 'destinations/postgres',
    folders: ['copy', 'domain', 'ports', 'postgres-client', 'telemetry'],
    npm: ['pg', 'pg-copy-streams', ...node],
  },
  dev: { folders: ['client', 'config', 'domain', 'telemetry'], npm: anyPackage },
  domain: { folders: [], npm: ['uuid', 'node:crypto'] },
  ports: { folders: ['domain'], npm: node },
  'postgres-client': { folders: ['domain', 'ports'], npm: ['pg', ...node] },
  schedule: { folders: ['domain', 'ports', 'telemetry'], npm: ['@temporalio/client', 'ioredis', ...node] },
  sources: {
    at: 'sources/postgres',
    folders: ['copy', 'domain', 'ports', 'postgres-client', 'telemetry'],
    npm: ['pg', 'pg-copy-streams', 'pg-query-stream', ...node],
  },
  storage: { folders: ['domain', 'ports', 'telemetry'], npm: ['pg', 'uuid', ...node] },
  telemetry: { folders: ['domain'], npm: ['pino', ...node] },
  workers: {
    folders: [
      'activities',
      'api',
      'client',
      'config',
      'copy',
      'destinations',
      'domain',
      'ports',
      'postgres-client',
      'schedule',
      'sources',
      'storage',
      'telemetry',
      'workflows',
    ],
    npm: anyPackage,
  },
  workflows: { folders: ['domain'], types: ['activities'], npm: ['@temporalio/workflow'] },
};
const folderOf = (name: string): string => rows[name]?.at ?? name;

const variableOf = (name: string): string => name.replaceAll('-', '_');

/** A line of a planted file, and the rule that must refuse it, if any. */
interface Line {
  readonly text: string;
  readonly refusedBy?: string;
}
const imports = 'eslint(no-restricted-imports)';
const line = (text: string, allowed: boolean, rule = imports): Line =>
  allowed ? { text } : { text, refusedBy: rule };

/** Every cell of a row: each folder by value and by type, each package by value, from one level down as well. */
function cellsOf(name: string, row: Row): Line[] {
  const up = relative(folderOf(name), '.');
  const lines = Object.keys(rows)
    .filter((target) => target !== name)
    .flatMap((target) => {
      const path = `${folderOf(target)}/thing.ts`;
      const byValue = row.folders.includes(target);
      const byType = byValue || (row.types ?? []).includes(target);
      return [
        line(`export * from '${up}/${path}';`, byValue),
        line(`export const ${variableOf(target)} = import('${up}/../src/${path}');`, byValue),
        line(`export type { A as ${variableOf(target)}Type } from '${up}/${path}';`, byType),
      ];
    });
  const npm = packages.map((pkg) => line(`export * from '${pkg}';`, row.npm.includes(pkg)));
  const own = [line(`export * from './thing.ts';`, true), line(`export * from './deep/thing.ts';`, true)];
  return [...lines, ...npm, ...own];
}

const only = (rule: string, ...texts: string[]): Line[] => texts.map((text) => line(text, false, rule));
const fine = (...texts: string[]): Line[] => texts.map((text) => line(text, true));
const properties = 'eslint(no-restricted-properties)';
const globals = 'eslint(no-restricted-globals)';

const planted: Record<string, Line[]> = {
  ...Object.fromEntries(
    Object.entries(rows).map(([name, row]) => [`src/${folderOf(name)}/cells.ts`, cellsOf(name, row)]),
  ),

  // one folder deeper
  'src/api/routes/deep.ts': [
    ...only(imports, `export * from '../../storage/thing.ts';`, `export * from '../storage/thing.ts';`),
    ...fine(
      `export * from '../../ports/thing.ts';`,
      `export * from '../server.ts';`,
      `export * from './thing.ts';`,
    ),
  ],
  'src/sources/postgres/sibling.ts': only(imports, `export * from '../mysql/thing.ts';`),
  'src/destinations/postgres/sibling.ts': only(imports, `export * from '../mysql/thing.ts';`),
  'src/destinations/postgres/modes/sibling.ts': [
    ...fine(`export * from '../target.ts';`),
    ...only(imports, `export * from '../../mysql/thing.ts';`),
  ],

  // the files of domain with a package of their own, and those that workflows leave out of the bundle
  'src/domain/sync-spec.ts': [
    ...fine(`export * from 'zod';`),
    ...only(imports, `export * from 'cron-parser';`),
  ],
  'src/domain/cron.ts': [...fine(`export * from 'cron-parser';`), ...only(imports, `export * from 'zod';`)],
  'src/workflows/bundle.ts': [
    ...only(
      imports,
      `export * from '../domain/sync-spec.ts';`,
      `export * from '../domain/cron.ts';`,
      `export * from '../domain/schedule.ts';`,
      `export * from '../domain/time-zone.ts';`,
    ),
    ...fine(`export type { SyncSpec } from '../domain/sync-spec.ts';`),
  ],

  // the environment, the clock, chance
  'src/copy/environment.ts': only(
    properties,
    `export const a = process.env;`,
    `export const b = process['env']['HOME'];`,
    `export const { env } = process;`,
    `export const c = globalThis.process;`,
  ),
  'src/config/environment.ts': fine(`export const a = process.env['HOME'];`),
  'src/domain/impure.ts': [
    ...only(properties, `export const a = Date.now();`, `export const b = Math.random();`),
    ...only(globals, `export const c = performance.now();`, `export const d = process.pid;`),
    ...fine(`export const e = (now: Date) => new Date(now.getTime() + 1);`),
  ],

  // everywhere
  'src/storage/everywhere.ts': [
    ...only('typescript(consistent-type-imports)', `export type Hidden = import('../ports/thing.ts').A;`),
    ...only('typescript(no-explicit-any)', `export const loose = (value: any): unknown => value;`),
    ...only(
      'typescript(no-floating-promises)',
      `export const floating = (): void => { Promise.resolve(1); };`,
    ),
    ...fine(`export const kept = async (): Promise<void> => { await Promise.resolve(1); };`),
  ],
  'src/storage/cycle-a.ts': only('import(no-cycle)', `export * from './cycle-b.ts';`),
  'src/storage/cycle-b.ts': only('import(no-cycle)', `export * from './cycle-a.ts';`),
  'src/storage/400-lines.ts': Array.from({ length: 400 }, (_, i) => line(`export const n${i} = ${i};`, true)),
};
const tooLong = 'src/storage/401-lines.ts';

/** What oxlint says about a folder, as `file:line rule`. The rules of this test's concern only. */
async function refusalsIn(directory: string): Promise<string[]> {
  const bin = join(root, 'node_modules/.bin/oxlint');
  const args = ['--type-aware', '--format', 'json', 'src'];
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile(bin, args, { cwd: directory, maxBuffer: 1 << 26 }, (error, out, stderr) => {
      if (out.startsWith('{')) resolve(out);
      else reject(new Error(`oxlint did not run: ${out}${stderr}`, { cause: error }));
    });
  });
  const report = JSON.parse(stdout) as {
    diagnostics: { filename: string; code: string; severity: string; labels: { span: { line: number } }[] }[];
  };
  const concern = new Set([
    ...Object.values(planted).flatMap((lines) => lines.map((each) => each.refusedBy ?? imports)),
    'eslint(max-lines)',
  ]);
  const found = report.diagnostics
    .filter((each) => each.severity === 'error' && concern.has(each.code))
    .map((each) =>
      each.code === 'eslint(max-lines)'
        ? `${each.filename} ${each.code}`
        : `${each.filename}:${each.labels[0]?.span.line ?? 0} ${each.code}`,
    );
  return [...new Set(found)];
}

describe('the folder rules', () => {
  let scratch: string;
  let found: string[];

  const plant = (file: string, text: string): void => {
    mkdirSync(join(scratch, dirname(file)), { recursive: true });
    writeFileSync(join(scratch, file), text);
  };

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'folder-rules-'));
    for (const file of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) {
      copyFileSync(join(root, file), join(scratch, file));
    }
    symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'));
    for (const [file, lines] of Object.entries(planted)) {
      plant(file, lines.map((each) => `${each.text}\n`).join(''));
    }
    plant(tooLong, Array.from({ length: 401 }, (_, i) => `export const n${i} = ${i};\n`).join(''));
    found = await refusalsIn(scratch);
  });

  afterAll(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  test.each(Object.entries(planted))('%s: what is forbidden is refused, and nothing else', (file, lines) => {
    const expected = lines.flatMap((each, i) =>
      each.refusedBy ? [`${i + 1} ${each.refusedBy}: ${each.text}`] : [],
    );
    const refused = lines.flatMap((each, i) =>
      found
        .filter((one) => one.startsWith(`${file}:${i + 1} `))
        .map((one) => `${i + 1} ${one.slice(one.indexOf(' ') + 1)}: ${each.text}`),
    );
    expect(refused).toEqual(expected);
  });

  test('a file of 401 lines is refused, one of 400 is not', () => {
    expect(found.filter((one) => one.endsWith('(max-lines)'))).toEqual([`${tooLong} eslint(max-lines)`]);
  });

  test('every folder of src has a row', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((each) =>
      each.isDirectory(),
    );
    expect(Object.keys(rows)).toEqual(expect.arrayContaining(folders.map((each) => each.name)));
  });
});
