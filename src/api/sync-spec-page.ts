/** The page docs/sync-spec.md: every member of a sync spec, from the schema that checks it. */
import { z } from 'zod';
import { syncSpecSchema } from '../domain/sync-spec.ts';

type Schema = z.core.JSONSchema.JSONSchema;

interface Member {
  readonly path: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
}

/** The page in Markdown. */
export function syncSpecPage(): string {
  const rows = membersOf(z.toJSONSchema(syncSpecSchema, { io: 'input' })).map(
    ({ path, schema, isRequired }) =>
      `| \`${path}\` | ${shapeOf(schema)} | ${isRequired ? 'required' : code(schema.default)} | ${schema.description ?? ''} |`,
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
  return [schema, ...(schema.anyOf ?? [])].flatMap(({ properties = {}, required = [] }) =>
    Object.entries(properties as Record<string, Schema>).flatMap(([name, member]) => {
      const own = { path: `${path}${name}`, schema: member, isRequired: required.includes(name) };
      const inner = membersOf(member, `${path}${name}.`);
      return inner.length > 0 ? inner : [own];
    }),
  );
}

function shapeOf(schema: Schema): string {
  const { type, enum: values, items, additionalProperties, const: only, format, minimum, maximum } = schema;
  if (only !== undefined) return code(only);
  if (values) return values.map(code).join(', ');
  if (type === 'array') return `list of ${String((items as Schema).type)}`;
  if (type === 'object') return `object of ${(additionalProperties as Schema).anyOf ? 'values' : 'strings'}`;
  return minimum === undefined ? (format ?? String(type)) : `${minimum} to ${maximum}`;
}

const code = (value: unknown): string => (value === undefined ? '' : `\`${JSON.stringify(value)}\``);
