/**
 * Binary or text. Binary is faster, and right only where the source has it and both ends mean the same by the same bytes:
 * built-in types, the same on both sides, and a key whose bytes can be read here. Everything else travels as the text that
 * both ends print.
 */
import type { ResultColumn, RowFormat } from '../ports/source.ts';
import { isBinaryKey } from './key-text.ts';

/** Object ids below this are assigned by hand in pg_type.dat, the same in every installation. */
const firstAssignedOid = 10_000;

/**
 * Built in, yet not the same bytes everywhere: names of objects by their local numbers (reg…), rows, node trees, types
 * without a binary form, xml, whose bytes name an encoding, and two whose empty values their own input refuses.
 */
// prettier-ignore
const localTypes = new Set([
  24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191, // reg…
  1008, 2207, 2208, 2209, 2210, 2211, 3735, 3770, 4090, 4097, 4192, // reg…[]
  22, 30, 1006, 1013, // int2vector, oidvector
  142, 143, 194, 210, 705, 1033, 1034, 2249, 2275, 2277, 2287, 3642, 3644, // xml, node tree, unknown, aclitem, record …
]);

const isPortable = (typeOid: number): boolean => typeOid < firstAssignedOid && !localTypes.has(typeOid);

/** @param target columns of the target as it is; null when it will be created after the result */
export const chooseFormat = (
  columns: readonly ResultColumn[],
  key: readonly string[],
  target: readonly ResultColumn[] | null,
  formats: readonly RowFormat[],
): RowFormat =>
  columns.every((column) => whyText(column, key, target, formats) === null) ? 'binary' : 'text';

/** Why a column cannot travel as binary; null where it can. */
export function whyText(
  column: ResultColumn,
  key: readonly string[],
  target: readonly ResultColumn[] | null,
  formats: readonly RowFormat[],
): string | null {
  if (!formats.includes('binary')) return 'the source has no binary rows';
  if (!isPortable(column.typeOid)) return `the bytes of ${column.typeName} may mean something else elsewhere`;
  const there = target?.find((each) => each.name === column.name);
  // What is not there is made, or the load is refused. A length or scale is applied by a type's receive function as by
  // its input.
  if (there && there.typeOid !== column.typeOid) return `the target has ${there.typeName}`;
  if (key.includes(column.name) && !isBinaryKey(column.typeOid))
    return `keys of type ${column.typeName} are read as text`;
  return null;
}
