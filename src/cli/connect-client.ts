/** The API's client as the command line is configured for it. */
import { createClient, type Client } from '../client/client.ts';
import { loadConfig } from '../config/load-config.ts';
import type { OptionName } from '../config/options.ts';
import { PenstockError } from '../domain/errors.ts';
import type { CommandInput, CommandOption } from './command.ts';

/** Options of src/config that such a command reads. */
export const clientConfig: readonly OptionName[] = ['apiUrl', 'apiKey'];

export const tenantOption: CommandOption = {
  flag: '--tenant <tenant>',
  doc: 'whose it is (id or name); needed by operators’ keys where names are not unique',
};

/** The client, and whose things it is about. Throws CONFIG without a key. */
export function connectClient({ flags, options }: CommandInput): {
  client: Client;
  tenantId: string | undefined;
} {
  const { apiUrl, apiKey } = loadConfig(['apiKey'], { flags });
  return { client: createClient({ url: apiUrl, apiKey }), tenantId: textOf(options['tenant']) };
}

/** The text of an option that takes one. */
export const textOf = (value: string | true | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;

/** A whole number of an option, in a closed range. Throws CONFIG. */
export function integerOf(
  flag: string,
  value: string | true | undefined,
  { least, most }: { least: number; most: number },
): number | undefined {
  const text = textOf(value);
  if (text === undefined) return undefined;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least && number <= most))
    throw new PenstockError(
      'CONFIG',
      `${flag} must be a whole number from ${least} to ${most}, not "${text}"`,
    );
  return number;
}
