/** The page docs/sync-spec.md: every member of a sync spec, from the schema that checks it. */
import { z } from 'zod';
import { syncSpecSchema } from '../domain/sync-spec.ts';

type Schema = z.core.JSONSchema.JSONSchema;

interface Member {
  readonly path: string;
  /** the member whose company it keeps, where several shapes may be written */
  readonly beside?: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
}

/** The page in Markdown. */
export function syncSpecPage(): string {
  const rows = membersOf(z.toJSONSchema(syncSpecSchema, { io: 'input' })).map(
    ({ path, beside, schema, isRequired }) =>
      `| \`${path}\`${beside === undefined ? '' : ` beside \`${beside}\``} | ${shapeOf(schema)} | ${isRequired ? 'required' : code(schema.default)} | ${schema.description ?? ''} |`,
  );
  return [
    '# The sync spec',
    '',
    'What `POST /v1/syncs` takes, `PATCH` changes and `GET` answers, with the defaults filled in. A duration is a whole',
    'number with a unit, such as `90s`, `5m`, `24h` or `7d`; a size likewise, such as `16MiB`. An unknown member is refused.',
    '',
    '| member | | default | |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

/** Members that hold others are told by those; of the ways to write a schedule each is. */
function membersOf(schema: Schema, path = ''): Member[] {
  return [schema, ...(schema.anyOf ?? [])].flatMap(({ properties = {}, required = [] }) => {
    const [first, ...others] = Object.keys(properties);
    return Object.entries(properties as Record<string, Schema>).flatMap(([name, member]) => {
      const beside = schema.anyOf && others.length > 0 && name !== first ? { beside: `${path}${first}` } : {};
      const own = { path: `${path}${name}`, schema: member, isRequired: required.includes(name), ...beside };
      const inner = membersOf(member, `${path}${name}.`);
      return inner.length > 0 ? inner.map((one) => ({ ...one, ...beside })) : [own];
    });
  });
}

function shapeOf(schema: Schema): string {
  const { type, enum: values, items, additionalProperties, const: only, format, minimum, maximum } = schema;
  if (only !== undefined) return code(only);
  if (values) return values.map(code).join(', ');
  if (type === 'array') return `list of ${String((items as Schema).type ?? 'objects')}`;
  if (type === 'object') return `object of ${(additionalProperties as Schema).anyOf ? 'values' : 'strings'}`;
  return minimum === undefined ? (format ?? String(type)) : `${minimum} to ${maximum}`;
}

const code = (value: unknown): string => (value === undefined ? '' : `\`${JSON.stringify(value)}\``);
