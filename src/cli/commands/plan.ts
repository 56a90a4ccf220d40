/** `penstock plan`: what the next run of a sync would do, or what a run of a spec in a file would. */
import type { SyncPlan, SyncSpecInput } from '../../client/index.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { Command, CommandInput } from '../command.ts';
import { clientConfig, connectClient, tenantOption, textOf } from '../connect-client.ts';
import { readJson } from '../read-json.ts';
import { showPlan } from '../show-plan.ts';

export const command: Command = {
  args: [{ name: '[sync]', doc: 'id or name; none for a new one, which --file tells' }],
  options: [
    {
      flag: '--file <path>',
      doc: 'a spec in JSON; with a sync the members of its spec that would change',
    },
    tenantOption,
  ],
  config: clientConfig,
  run: async (input) => showPlan(await fetchPlan(input), input.json),
};

function fetchPlan(input: CommandInput): Promise<SyncPlan> {
  const file = textOf(input.options['file']);
  const given = file === undefined ? undefined : (readJson('--file', file) as Record<string, unknown>);
  const [ref] = input.args;
  if (ref === undefined && given === undefined)
    throw new PenstockError('CONFIG', 'plan needs a sync, or --file with the spec of a new one');
  const { client, tenantId } = connectClient(input);
  return ref === undefined
    ? client.syncs.planNew({
        ...(given as unknown as SyncSpecInput),
        ...(tenantId !== undefined && { tenantId }),
      })
    : client.syncs.plan(ref, { ...(given && { patch: given }), tenantId });
}
