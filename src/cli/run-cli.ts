/**
 * Runs one command line. Help is generated from the command's data. A wrong or missing option is one clear line on
 * standard error and exit code 78; what the others mean is in exit-codes.ts.
 */
import { Command as Parser, CommanderError } from 'commander';
import { environmentHelp } from '../config/describe-options.ts';
import { flagOf, optionOf, type OptionName } from '../config/options.ts';
import { codeOf, cureOf, PenstockError } from '../domain/errors.ts';
import type { Command, CommandEntry } from './command.ts';
import { exitCodes } from './exit-codes.ts';

/**
 * Resolves to the exit code; never rejects.
 * @param argv the words after `penstock`
 */
export async function runCli(
  argv: readonly string[],
  table: Readonly<Record<string, CommandEntry>>,
  version: string,
): Promise<number> {
  let exitCode = 0;
  const program = quiet(new Parser('penstock'))
    .description('Scheduled, exactly-once syncs of warehouse query results into Postgres')
    .version(version);
  for (const [verb, entry] of Object.entries(table)) {
    const parser = quiet(program.command(verb)).description(entry.summary);
    // Only the command that is asked for is loaded: the others would cost every call their imports.
    if (verb === argv[0])
      define(parser, (await entry.load()).command, (code) => {
        exitCode = code;
      });
  }
  try {
    if (argv.length === 0) program.help();
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(error);
  }
}

/** Errors become exceptions, so that they are reported in one place and in one form. */
const quiet = (parser: Parser): Parser =>
  parser
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpCommand(false);

function define(parser: Parser, command: Command, exit: (code: number) => void): void {
  const { args = [], options = [], config = [] } = command;
  for (const { name, doc } of args) parser.argument(name, doc);
  for (const { flag, doc, default: value } of options) parser.option(flag, doc, value);
  for (const name of config) {
    const flag = flagOf(name);
    if (flag) parser.option(`${flag} <value>`, `${optionOf(name).doc} Example: ${optionOf(name).example}`);
  }
  parser.option('--json', 'print one machine-readable line');
  if (config.length > 0) parser.addHelpText('after', `\n${environmentHelp(config)}`);
  parser.action(async () => {
    const given = parser.opts<Record<string, string | true | undefined>>();
    const code = await command.run({
      args: parser.processedArgs as (string | undefined)[],
      options: given,
      flags: configFlags(config, given),
      json: given['json'] === true,
    });
    exit(code ?? 0);
  });
}

function configFlags(
  names: readonly OptionName[],
  given: Readonly<Record<string, string | true | undefined>>,
): Partial<Record<OptionName, string>> {
  return Object.fromEntries(
    names.flatMap((name) => (typeof given[name] === 'string' ? [[name, given[name]]] : [])),
  );
}

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Help and version end this way too, with code 0.
    if (error.exitCode === 0) return 0;
    const line = error.message.replace(/^error: /, '').replaceAll(/\s+/g, ' ');
    return complain(`${line} (see penstock --help)`, exitCodes.config);
  }
  const code = codeOf(error);
  if (code === 'INTERNAL' && !(error instanceof PenstockError))
    return complain(
      error instanceof Error ? (error.stack ?? error.message) : String(error),
      exitCodes.failed,
    );
  return complain(
    `${(error as Error).message} [${code}] ${cureOf(code)}`,
    code === 'CONFIG' ? exitCodes.config : exitCodes.failed,
  );
}

function complain(text: string, exitCode: number): number {
  process.stderr.write(`penstock: ${text}\n`);
  return exitCode;
}
