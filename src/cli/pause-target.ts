/** What `penstock pause` and `penstock resume` are about: a sync, a tenant, or all. */
import { PenstockError } from '../domain/errors.ts';
import type { CommandInput, CommandOption } from './command.ts';
import { textOf } from './connect-client.ts';

export const pauseTargetArgs = [{ name: '[sync]', doc: 'id or name' }] as const;

export const pauseTargetOptions: readonly CommandOption[] = [
  { flag: '--tenant <tenant>', doc: 'the whole tenant; with a sync: whose it is (id or name)' },
  { flag: '--all', doc: 'every tenant' },
];

export interface PauseTarget {
  readonly sync: string | undefined;
  readonly tenant: string | undefined;
}

/** Neither a sync nor a tenant is all. Throws CONFIG unless it is clear which is meant. */
export function pauseTargetOf({ args: [sync], options }: CommandInput): PauseTarget {
  const tenant = textOf(options['tenant']);
  const isOfOne = sync !== undefined || tenant !== undefined;
  if (isOfOne === (options['all'] === true))
    throw new PenstockError(
      'CONFIG',
      'say either a sync, --tenant for a whole tenant, or --all for every one',
    );
  return { sync, tenant };
}

/** For people. */
export const nameOf = ({ sync, tenant }: PauseTarget): string =>
  sync === undefined ? (tenant === undefined ? 'every tenant' : `tenant ${tenant}`) : `sync ${sync}`;
