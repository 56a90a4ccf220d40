/** What a command of the CLI is: data, from which its help and its checks are made, and one function. */
import type { OptionName } from '../config/options.ts';

export interface CommandOption {
  /** As in help: `--wait` or `--data-dir <dir>`. */
  readonly flag: `--${string}`;
  readonly doc: string;
  readonly default?: string;
}

export interface CommandInput {
  /** The positional arguments, in the order of the definition; an optional one may be absent. */
  readonly args: readonly (string | undefined)[];
  /** By the flag's name in camel case: text, or true for a flag without value. */
  readonly options: Readonly<Record<string, string | true | undefined>>;
  /** The options of src/config that were given as flags; for loadConfig. */
  readonly flags: Readonly<Partial<Record<OptionName, string>>>;
  /** Print one machine-readable line and nothing else on standard output. */
  readonly json: boolean;
}

export interface Command {
  /** As in help: `<sync>`, `[run]`. */
  readonly args?: readonly { readonly name: `<${string}>` | `[${string}]`; readonly doc: string }[];
  readonly options?: readonly CommandOption[];
  /** Options of src/config that the command reads: each becomes a flag, unless it is secret, and part of its help. */
  readonly config?: readonly OptionName[];
  /** Resolves to the exit code, 0 when to nothing. */
  readonly run: (input: CommandInput) => Promise<number | void>;
}

/** An entry of the command table; the command's file is loaded only when it is the one that runs. */
export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: Command }>;
}
