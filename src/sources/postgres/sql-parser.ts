/**
 * PostgreSQL's own parser, as WebAssembly. V8 compiles it a second time, optimised, after a few statements, which takes
 * 600 MiB for a moment on Node 24. A statement is parsed in milliseconds without that.
 */
import { setFlagsFromString } from 'node:v8';
import type { parseSync } from 'libpg-query';

export type ParseSql = typeof parseSync;

/** What a function has to cost before it is compiled again: more than a process will ever parse. */
const tieringBudget = 2_000_000_000;

let loading: Promise<ParseSql> | undefined;

/** The parser, loaded once a process; it throws on a syntax error. */
export const loadParser = (): Promise<ParseSql> => (loading ??= load());

async function load(): Promise<ParseSql> {
  // Read when the module is made.
  setFlagsFromString(`--wasm-tiering-budget=${tieringBudget}`);
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  return parseSync;
}
