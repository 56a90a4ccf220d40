/** The table of options as text, for `penstock start --help` and the docs page. */
import { envNameOf, flagOf, optionOf, optionTable, roleNeeds, type OptionName } from './options.ts';

export interface OptionDescription {
  readonly name: OptionName;
  readonly env: string;
  readonly flag: string | undefined;
  readonly doc: string;
  readonly example: string;
  readonly default: string | undefined;
}

/** One description per option, in the table's order. */
export function describeOptions(
  names: readonly OptionName[] = Object.keys(optionTable) as OptionName[],
): OptionDescription[] {
  return names.map((name) => ({
    name,
    env: envNameOf(name),
    flag: flagOf(name),
    doc: optionOf(name).doc,
    example: optionOf(name).example,
    default: optionOf(name).default || undefined,
  }));
}

/** Help text: a paragraph per option that can be set by the environment alone. */
export function environmentHelp(names?: readonly OptionName[]): string {
  const lines = describeOptions(names).map(
    ({ env, doc, default: value }) => `  ${env}\n      ${doc}${value ? ` Default: ${value}.` : ''}`,
  );
  return ['Environment:', ...lines].join('\n');
}

/** The page docs/configuration.md, in Markdown. */
export function configurationPage(): string {
  const rows = describeOptions().map(
    ({ name, env, flag, doc, example, default: value }) =>
      `| \`${env}\` | ${flag === undefined ? '' : `\`${flag}\``} | ${doc} | ${value === undefined ? '' : `\`${value}\``} | \`${example}\` | ${neededBy(name)} |`,
  );
  return [
    '# Configuration',
    '',
    'Options come from the environment, or from flags, which win. Secrets have no flag, because a process list shows',
    'flags. An empty variable counts as absent. A wrong or missing option ends the command with one line and exit code 78.',
    '',
    '| variable | flag | | default | example | needed by |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

const neededBy = (name: OptionName): string =>
  Object.entries(roleNeeds)
    .filter(([, needs]) => (needs as readonly OptionName[]).includes(name))
    .map(([role]) => role)
    .join(', ');
