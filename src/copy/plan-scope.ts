/** What a sync's scope needs of its target: columns in which two texts are one value only if they are the same text. */
import { PenstockError } from '../domain/errors.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import { scopeText, type TargetScope } from '../domain/target-scope-spec.ts';
import type { LoadPlan } from '../ports/destination.ts';
import type { ResultColumn } from '../ports/source.ts';

const wholeNumber = (bits: bigint) => (text: string) =>
  /^(0|-?[1-9]\d{0,18})$/.test(text) && BigInt.asIntN(Number(bits), BigInt(text)) === BigInt(text);

/** How values of these types are printed, by type. All others print some value in two ways, or depend on settings. */
const prints: Readonly<Record<string, (text: string) => boolean>> = {
  text: () => true,
  'character varying': () => true,
  smallint: wholeNumber(16n),
  integer: wholeNumber(32n),
  bigint: wholeNumber(64n),
  boolean: (text) => /^(true|false)$/.test(text),
  uuid: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text),
};

/**
 * The scope as the load freezes it.
 *
 * @param result the query's columns
 * @param present the target's; null when it will be made
 * @throws PenstockError BAD_REQUEST, TARGET_MISMATCH
 */
export function planScope(
  { scope = {} }: SyncSpec,
  result: readonly ResultColumn[],
  present: readonly ResultColumn[] | null,
): Pick<LoadPlan, 'scope'> {
  const named = result.find(({ name }) => Object.hasOwn(scope, name));
  if (named)
    throw new PenstockError(
      'BAD_REQUEST',
      `The result has a column ${named.name}, of which the scope says the value: leave one of them out.`,
      { pointer: `/scope/${named.name}` },
    );
  if (present) checkScope(scope, present);
  return Object.keys(scope).length === 0 ? {} : { scope };
}

/** TARGET_MISMATCH unless each column is there and prints its value as it is written. */
export function checkScope(scope: TargetScope, present: readonly ResultColumn[]): void {
  for (const [name, value] of Object.entries(scope)) {
    const fault = faultOf(present.find((column) => column.name === name)?.typeName, scopeText(value));
    if (fault !== null)
      throw new PenstockError('TARGET_MISMATCH', `The column ${name} of the target ${fault}.`, {
        pointer: `/scope/${name}`,
      });
  }
}

function faultOf(typeName: string | undefined, text: string): string | null {
  if (typeName === undefined) return 'is not there';
  const [, bare, length] = /^(.*?)(?:\((\d+)\))?$/.exec(typeName)!;
  const isPrinted = prints[bare!];
  if (!isPrinted) return `is ${typeName}: a scope needs ${Object.keys(prints).join(', ')}`;
  if (isPrinted(text) && (length === undefined || Array.from(text).length <= Number(length))) return null;
  return `is ${typeName}, and prints the scope's value in another way`;
}
