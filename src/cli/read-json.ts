/** A file of JSON that an option names. */
import { readFileSync } from 'node:fs';
import { PenstockError } from '../domain/errors.ts';

/** Throws CONFIG, naming the option, for a file that cannot be read or holds no JSON. */
export function readJson(flag: string, file: string): unknown {
  try {
    return JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8')) as unknown;
  } catch (cause) {
    throw new PenstockError('CONFIG', `${flag}: ${file} is no JSON that can be read`, { cause });
  }
}
