/** Parsers of option values. Each throws an Error whose message completes the sentence "must be …". */
import { readFileSync } from 'node:fs';
import { parseDurationMs } from '../domain/duration-spec.ts';
import { workerClassRule, workerClassShape } from '../domain/worker-class.ts';

/** Text without blanks or control characters. */
export function parseName(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what it refuses
  if (!/^[^\s\u0000-\u001f]+$/.test(text)) throw new Error('must be one word without blanks');
  return text;
}

/** `host:port`. */
export function parseAddress(text: string): string {
  const match = /^(\[[0-9a-fA-F:]+\]|[^\s:/@]+):(\d{1,5})$/.exec(text);
  if (!match || Number(match[2]) < 1 || Number(match[2]) > 65_535) throw new Error('must be host:port');
  return text;
}

/** A whole number in a closed range. */
export const parseInteger =
  (least: number, most: number) =>
  (text: string): number => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most))
      throw new Error(`must be a whole number from ${least} to ${most}`);
    return value;
  };

/** A duration in a closed range, as milliseconds. */
export const parseDurationIn =
  (least: string, most: string) =>
  (text: string): number => {
    const ms = parseDurationMs(text);
    if (ms === undefined || ms < parseDurationMs(least)! || ms > parseDurationMs(most)!)
      throw new Error(`must be a duration from ${least} to ${most}, such as 90s or 5m`);
    return ms;
  };

/** One word of a closed set. */
export const oneOf =
  <const T extends string>(words: readonly T[]) =>
  (text: string): T => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new Error(`must be one of ${words.join(', ')}`);
    return found;
  };

/** A URL of one of the protocols, which may hold a password: the message never quotes it. */
export const parseUrlOf =
  (...protocols: readonly string[]) =>
  (text: string): string => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (!url || !protocols.includes(url.protocol) || url.hostname === '')
      throw new Error(`must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`);
    return text;
  };

/** An http(s) URL, without the slash at its end. */
export function parseHttpUrl(text: string): string {
  parseUrlOf('http:', 'https:')(text);
  return text.replace(/\/+$/, '');
}

/** The bytes of a PEM file. */
export function parsePemFile(path: string): Buffer {
  try {
    const bytes = readFileSync(path);
    if (bytes.includes('-----BEGIN ')) return bytes;
  } catch {
    // Said below.
  }
  throw new Error('must be the path of a PEM file that can be read');
}

/** The name of a worker class. */
export function parseWorkerClass(text: string): string {
  if (!workerClassShape.test(text)) throw new Error(workerClassRule);
  return text;
}
