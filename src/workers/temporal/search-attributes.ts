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
const indexedTypeOf = (name: Name) => indexedTypes[searchAttributes[name]];

type Services = Pick<NativeConnection, 'operatorService'>;

/** Which of them the namespace lacks, and which it has with another type: with either no run can be started. */
export async function compareSearchAttributes(
  { operatorService }: Services,
  namespace: string,
): Promise<{ missing: Name[]; wrong: Name[] }> {
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const isThere = (name: Name): boolean => name in customAttributes;
  return {
    missing: names.filter((name) => !isThere(name)),
    wrong: names.filter((name) => isThere(name) && customAttributes[name] !== indexedTypeOf(name)),
  };
}

/** Adds what is missing. @throws PenstockError CONFIG when one is there with another type, or cannot be added */
export async function registerSearchAttributes(services: Services, namespace: string): Promise<void> {
  const { missing } = await compareSearchAttributes(services, namespace);
  let refusal: unknown;
  if (missing.length > 0) {
    await services.operatorService
      .addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(missing.map((name) => [name, indexedTypeOf(name)])),
      })
      .catch((error: unknown) => (refusal = error));
  }
  const after = await compareSearchAttributes(services, namespace);
  const unfit = [...after.missing, ...after.wrong];
  if (unfit.length === 0) return;
  const list = unfit.map((name) => `${name}=${searchAttributes[name]}`).join(', ');
  throw new PenstockError(
    'CONFIG',
    `Temporal namespace ${namespace} lacks search attributes, or has them with other types: ${list}. ` +
      'Remove those of other types, and add them with `temporal operator search-attribute create`.',
    { cause: refusal },
  );
}
