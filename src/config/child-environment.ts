/** The environment of a role that is started as a child process with its options given. */
import { envNameOf, type OptionName } from './options.ts';

/**
 * This process's environment with the options set to these texts. PG* variables are left out: they would become
 * defaults of connections that are to be described by their options alone.
 */
export function childEnvironment(
  options: Readonly<Partial<Record<OptionName, string>>>,
  base: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const inherited = Object.entries(base).filter(
    ([name, value]) => value !== undefined && !name.startsWith('PG'),
  );
  const given = Object.entries(options).map(([name, text]) => [envNameOf(name as OptionName), text]);
  return Object.fromEntries([...inherited, ...given]) as Record<string, string>;
}
