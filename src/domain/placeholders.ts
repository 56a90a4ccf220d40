/** What a query may leave open, to be filled in for each load. */
import { PenstockError } from './errors.ts';
import type { SyncSpec } from './sync-spec.ts';

export const placeholderNames = ['cursor', 'last_sync_time', 'window.from', 'window.to', 'run_time'] as const;
export type PlaceholderName = (typeof placeholderNames)[number];

const pattern = new RegExp(`\\{\\{ *(${placeholderNames.join('|').replaceAll('.', '\\.')}) *\\}\\}`, 'g');

/** The placeholders as they stand in the text, each as often as it does. */
export const placeholdersIn = (text: string): PlaceholderName[] =>
  [...text.matchAll(pattern)].map(([, name]) => name as PlaceholderName);

/** Replaces each placeholder of the text. */
export const replacePlaceholders = (text: string, by: (name: PlaceholderName) => string): string =>
  text.replace(pattern, (_, name: PlaceholderName) => by(name));

/** BAD_REQUEST when the query has a placeholder that is taken from the cursor, and the sync has none. */
export function checkPlaceholders({ source, cursor }: Pick<SyncSpec, 'source' | 'cursor'>): void {
  const name = placeholdersIn(source.query).find((each) => each !== 'run_time');
  if (name === undefined || cursor) return;
  const text = `{{${name}}} is taken from the cursor, which the sync does not have: name its column in cursor.column`;
  throw new PenstockError('BAD_REQUEST', text, { pointer: '/source/query' });
}
