/** The main of the command `penstock`. */
import { readFileSync } from 'node:fs';
import { commandTable } from './command-table.ts';
import { runCli } from './run-cli.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
process.exitCode = await runCli(process.argv.slice(2), commandTable, version);
