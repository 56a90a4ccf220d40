/** Flags of a benchmark: `--name=number`, `--name`. */

/** @throws Error when it is not a whole number above 0 */
export function numberFlag(name: string, otherwise: number): number {
  const text = process.argv.find((arg) => arg.startsWith(`--${name}=`))?.split('=')[1];
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a whole number above 0, not "${text ?? ''}"`);
}

export const hasFlag = (name: string): boolean => process.argv.includes(`--${name}`);
