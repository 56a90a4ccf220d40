/**
 * Registers the search attributes of a run's workflow. Adding one that is there succeeds whatever its type and changes
 * nothing, so the types are read back and compared: a start that sets an attribute of another type would fail.
 */
import proto from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import { PenstockError } from '../../domain/errors.ts';
import { searchAttributes } from '../../domain/search-attributes.ts';

const { IndexedValueType } = proto.temporal.api.enums.v1;

const indexedTypes = {
  Keyword: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  Int: IndexedValueType.INDEXED_VALUE_TYPE_INT,
  Datetime: IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
} as const;

type Name = keyof typeof searchAttributes;
const names = Object.keys(searchAttributes) as Name[];
/** Temporal's number of an attribute's type. */
export const indexedTypeOf = (name: Name) => indexedTypes[searchAttributes[name]];

type Services = Pick<NativeConnection, 'operatorService'>;

/** Adds what is missing. @throws PenstockError CONFIG when one is there with another type, or cannot be added */
export async function registerSearchAttributes(
  { operatorService }: Services,
  namespace: string,
): Promise<void> {
  const before = await operatorService.listSearchAttributes({ namespace });
  const missing = names.filter((name) => !(name in before.customAttributes));
  let refusal: unknown;
  if (missing.length > 0) {
    await operatorService
      .addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(missing.map((name) => [name, indexedTypeOf(name)])),
      })
      .catch((error: unknown) => (refusal = error));
  }
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const wrong = names.filter((name) => customAttributes[name] !== indexedTypeOf(name));
  if (wrong.length === 0) return;
  const list = wrong.map((name) => `${name}=${searchAttributes[name]}`).join(', ');
  throw new PenstockError(
    'CONFIG',
    `Temporal namespace ${namespace} lacks search attributes, or has them with other types: ${list}. ` +
      'Remove those of other types, and add them with `temporal operator search-attribute create`.',
    { cause: refusal },
  );
}
