/**
 * PostgreSQL's own parser, as WebAssembly. V8 compiles it a second time, optimised, after a few statements, which takes
 * 600 MiB for a moment on Node 24. A statement is parsed in milliseconds without that.
 *
 * A query whose tree is deeper than the stack ends the parser in the middle of its work, with memory and stack still taken: after
 * some thirty of them it could parse nothing more. So each instance that was ended is replaced, which the package, having one
 * for good, does not do.
 */
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import type { ParseResult } from 'libpg-query';

/** What a function has to cost before it is compiled again: more than a process will ever parse. */
const tieringBudget = 2_000_000_000;

/** As the package's build exports it; numbers are addresses in its memory. */
interface Instance {
  lengthBytesUTF8(text: string): number;
  stringToUTF8(text: string, to: number, maxBytes: number): void;
  UTF8ToString(from: number): string;
  getValue(from: number, type: 'i32'): number;
  _malloc(bytes: number): number;
  _free(from: number): void;
  /** A struct: the tree as JSON, what was said on stderr, the error. */
  _wasm_parse_query_raw(query: number): number;
  _wasm_free_parse_result(result: number): void;
}

let loading: Promise<Instance> | undefined;

/**
 * The query's tree. An error whose `at`, in characters from 0, says where the fault is; without it the query is nested too deeply.
 * It does not say more: the parser quotes the text near the fault, which may be a literal.
 */
export async function parseSql(query: string): Promise<ParseResult> {
  const loaded = (loading ??= load());
  const instance = await loaded;
  // Another query may have ended it meanwhile.
  if (loaded !== loading) return parseSql(query);
  let found: ParseResult | { at: number };
  try {
    found = parse(instance, query);
  } catch (cause) {
    loading = undefined;
    throw new Error('the parser was ended', { cause });
  }
  if ('at' in found) throw Object.assign(new Error('a syntax error'), found);
  return found;
}

async function load(): Promise<Instance> {
  // Read when the module is made.
  setFlagsFromString(`--wasm-tiering-budget=${tieringBudget}`);
  const require = createRequire(import.meta.url);
  const instantiate = require('libpg-query/wasm/libpg-query.js') as () => Promise<Instance>;
  return instantiate();
}

/** Frees what it took, unless it throws: then the instance is done for. */
function parse(instance: Instance, query: string): ParseResult | { at: number } {
  const bytes = instance.lengthBytesUTF8(query) + 1;
  const text = instance._malloc(bytes);
  instance.stringToUTF8(query, text, bytes);
  const result = instance._wasm_parse_query_raw(text);
  const field = (of: number, number: number): number => instance.getValue(of + 4 * number, 'i32');
  const error = field(result, 2);
  // The fifth member of an error is where it is, from 1; 0 where that is not known.
  const found = error
    ? { at: Math.max(0, field(error, 4) - 1) }
    : (JSON.parse(instance.UTF8ToString(field(result, 0))) as ParseResult);
  instance._free(text);
  instance._wasm_free_parse_result(result);
  return found;
}
