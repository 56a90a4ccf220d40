/** Whether a target's columns keep every value of the result's, printed the same; what does not is refused before the copy. */
import type { ResultColumn } from '../ports/source.ts';

/** What is wrong with the target's columns, each as a half sentence about the target; empty when all fit. */
export function findMisfits(columns: readonly ResultColumn[], target: readonly ResultColumn[]): string[] {
  return columns.flatMap(({ name, typeName }) => {
    const there = target.find((each) => each.name === name);
    if (!there) return [`has no column ${name}`];
    if (keepsValues(typeName, there.typeName)) return [];
    return [`has ${there.typeName} for the column ${name}, which may not hold every ${typeName} unchanged`];
  });
}

/** Types that hold every value of the narrower one, printed the same. */
const widenings: Readonly<Record<string, readonly string[]>> = {
  smallint: ['integer', 'bigint', 'numeric'],
  integer: ['bigint', 'numeric'],
  bigint: ['numeric'],
  real: ['double precision'],
};

/** Types whose modifier only bounds a value; it prints the same without. */
const bounded = ['character varying', 'numeric', 'timestamp without time zone', 'timestamp with time zone'];

/**
 * COPY writes them otherwise than a cast to text does: t for true, blanks at the end, no /32, a declaration. Who wants text
 * says which, with a cast.
 */
const printsTwoWays = /^(boolean|inet|xml\[\]|character(\(\d+\))?)$/;

/** Whether a column of the second type keeps every value of the first, as text, byte for byte. */
export function keepsValues(from: string, to: string): boolean {
  if (from === to) return true;
  if (to === 'text' || to === 'character varying') return !printsTwoWays.test(from);
  if (widenings[from]?.includes(to)) return true;
  const [narrow, wide] = [withoutModifier(from), withoutModifier(to)];
  if (narrow.name !== wide.name || narrow.length === null) return false;
  if (wide.length === null) return bounded.includes(narrow.name);
  const mayGrow = narrow.name === 'character varying' || narrow.name === 'numeric';
  return mayGrow && wide.length >= narrow.length && wide.scale === narrow.scale;
}

interface Modified {
  name: string;
  length: number | null;
  scale: number;
}

function withoutModifier(typeName: string): Modified {
  const match = /^(.*?)\((\d+)(?:,(-?\d+))?\)(.*)$/.exec(typeName);
  if (!match) return { name: typeName, length: null, scale: 0 };
  return { name: match[1]! + match[4]!, length: Number(match[2]), scale: Number(match[3] ?? 0) };
}
