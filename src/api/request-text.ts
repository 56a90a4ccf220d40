/** Text that no database column takes: NUL, and halves of a surrogate pair, which would silently become U+FFFD. */
import { PenstockError } from '../domain/errors.ts';
import { pointerOf } from './validation.ts';

const isBad = (text: string): boolean => text.includes('\0') || /\p{Surrogate}/u.test(text);

/** Refuses such text anywhere in a value, names of members included. Iterative: requests may be nested deeply. */
export function checkText(value: unknown, prefix: string): void {
  const pending: { value: unknown; path: readonly PropertyKey[] }[] = [{ value, path: [] }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value: found, path } = next;
    if (typeof found === 'string' && isBad(found)) throw refusal(prefix, path);
    if (typeof found !== 'object' || found === null) continue;
    for (const [key, member] of Object.entries(found)) {
      if (isBad(key)) throw refusal(prefix, path);
      pending.push({ value: member, path: path.length < 8 ? [...path, key] : path });
    }
  }
}

const refusal = (prefix: string, path: readonly PropertyKey[]): PenstockError =>
  new PenstockError('BAD_REQUEST', 'the text holds a NUL character or half a surrogate pair: remove it', {
    pointer: `${prefix}${pointerOf(path)}`,
  });
