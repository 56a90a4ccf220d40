/**
 * What becomes of the query's columns on the way to the target. Everything else in a spec (key, cursor …) names columns as
 * they arrive; here they are named as the query does.
 */
import { z } from 'zod';
import { PenstockError } from './errors.ts';

const column = z.string().min(1).max(63);

/** A type without quotes, expressions or parts that a name cannot have: it becomes part of a statement. */
const castType = z
  .string()
  .max(100)
  .regex(
    /^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?( precision| varying)?( ?\(\d{1,4}(, ?-?\d{1,4})?\))?( with(out)? time zone)?(\[\])*$/,
    'a type in lower case as SQL writes it, such as bigint, numeric(10,2), text[] or timestamp with time zone',
  );

export const columnMappingSchema = z.strictObject({
  rename: z.record(column, column).optional().describe('New names by old ones.'),
  omit: z.array(column).max(1000).optional().describe('Columns that do not arrive.'),
  cast: z.record(column, castType).optional().describe('Types by column; the source converts.'),
  hash: z
    .array(column)
    .max(1000)
    .optional()
    .describe(
      'Columns of which the SHA-256 arrives instead, in hex, of the value’s text in UTF-8; NULL stays NULL.',
    ),
});
export type ColumnMapping = z.infer<typeof columnMappingSchema>;

const refuse = (message: string, pointer: string): never => {
  throw new PenstockError('BAD_REQUEST', message, { pointer: `/columns${pointer}` });
};

/** BAD_REQUEST when members exclude each other. */
export function checkColumnMapping({ rename = {}, omit = [], cast = {}, hash = [] }: ColumnMapping): void {
  for (const [i, name] of omit.entries())
    for (const [member, there] of [
      ['rename', Object.hasOwn(rename, name)],
      ['cast', Object.hasOwn(cast, name)],
      ['hash', hash.includes(name)],
    ] as const)
      if (there) refuse(`${name} is left out, and ${member} names it: choose one`, `/omit/${i}`);
  for (const [i, name] of hash.entries())
    if (Object.hasOwn(cast, name)) refuse(`${name} is cast and hashed: a hash is always text`, `/hash/${i}`);
  const names = Object.entries(rename);
  for (const [i, [from, to]] of names.entries())
    if (names.slice(0, i).some(([, other]) => other === to))
      refuse(`two columns would be named ${to}`, `/rename/${from}`);
}
