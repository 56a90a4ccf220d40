/**
 * Reads the options: flags win over the environment, the environment over defaults. The only reader of process.env
 * beside the embedded servers' options. A missing or wrong option is CONFIG with one line that names it.
 */
import { PenstockError } from '../domain/errors.ts';
import {
  envNameOf,
  flagOf,
  optionOf,
  optionTable,
  roleNeeds,
  type OptionName,
  type OptionValue,
  type OptionWithDefault,
  type Role,
} from './options.ts';

/** All options; those in `Needed` are there, of the others only those with a default surely are. */
export type Config<Needed extends OptionName = never> = {
  readonly [N in OptionName]: N extends Needed | OptionWithDefault
    ? OptionValue<N>
    : OptionValue<N> | undefined;
};

/** What a role's composition root gets. */
export type RoleConfig = Config<(typeof roleNeeds)[Role][number]>;

interface ConfigSource {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** By option name, as the command line gave them. */
  readonly flags?: Readonly<Partial<Record<OptionName, string>>>;
}

/** Reads all options and insists on the needed ones. Throws CONFIG. An empty variable counts as absent. */
export function loadConfig<N extends OptionName = never>(
  needed: readonly N[],
  { env = process.env, flags = {} }: ConfigSource = {},
): Config<N> {
  const values: Partial<Record<OptionName, unknown>> = {};
  for (const name of Object.keys(optionTable) as OptionName[]) {
    const flag = flags[name];
    const variable = env[envNameOf(name)]?.trim();
    const text = flag ?? (variable === '' ? undefined : variable) ?? optionOf(name).default;
    if (text !== undefined)
      values[name] = parsed(name, text, flag === undefined ? envNameOf(name) : flagOf(name));
    else if ((needed as readonly OptionName[]).includes(name)) throw missing(name);
  }
  return values as Config<N>;
}

/** Reads what the roles of one process need. Throws CONFIG. */
export function loadRoleConfig(roles: readonly Role[], source: ConfigSource = {}): RoleConfig {
  return loadConfig([...new Set(roles.flatMap((role) => [...roleNeeds[role]]))], source);
}

function parsed(name: OptionName, text: string, where: string | undefined): unknown {
  const option = optionOf(name);
  try {
    return option.parse(text);
  } catch (cause) {
    const found = option.secret ? '' : `, not "${text}"`;
    throw new PenstockError('CONFIG', `${where ?? name} ${(cause as Error).message}${found}`, { cause });
  }
}

function missing(name: OptionName): PenstockError {
  const flag = flagOf(name);
  const how = flag ? `set ${envNameOf(name)} or ${flag}` : `set ${envNameOf(name)}`;
  return new PenstockError(
    'CONFIG',
    `${name} is missing: ${how}, for example ${optionOf(name).example} (${optionOf(name).doc})`,
  );
}
