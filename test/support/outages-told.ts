/** What log lines tell of outages: on a busy machine there may be one more than the test has made. */
import { expect } from '@jest/globals';

type OutageWords = readonly [begins: string, ends: string];
const connection: OutageWords = ['does not serve', 'serves again'];

/** The words of the lines that have one of them, in order. */
export const outagesIn = (lines: readonly string[], words: OutageWords = connection): string[] =>
  lines.flatMap((line) => words.find((word) => line.includes(word)) ?? []);

/** Each outage is one line when it begins and, when it is over, one when it ends, however many calls met it. */
export function expectOutagesInTurns(lines: readonly string[], words: OutageWords = connection): void {
  const told = outagesIn(lines, words);
  expect(told).toEqual(told.map((_, n) => words[n % 2]));
}
