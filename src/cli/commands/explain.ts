/** `penstock explain <run>`: why a run is not at work, who has what it waits for, and until when. */
import type { RunExplanationAnswer } from '../../client/answers.ts';
import { describeRate } from '../../domain/read-rate.ts';
import type { WaitingReason } from '../../domain/run-states.ts';
import type { Command } from '../command.ts';
import { clientConfig, connectClient } from '../connect-client.ts';
import { print, printJson, tableOf } from '../show.ts';

const sentences: Readonly<Record<WaitingReason, string>> = {
  not_due: 'it is not due yet',
  sync_paused: 'its sync is paused',
  tenant_paused: 'its tenant is paused',
  all_paused: 'everything is paused',
  previous_run: 'another run of its sync comes first',
  global_cap: 'all places are taken',
  tenant_cap: 'all places of its tenant are taken',
  connection_cap: 'as many runs as may are reading from its source',
  rate_limited: 'its source is asked no more often',
  cooling_down: 'its source has asked for less',
  back_off: 'it could not be started, and is tried again',
  behind: 'others come first',
  no_worker: 'no worker takes it up: start one',
  engine_unreachable: 'Temporal does not answer',
  draining: 'no dispatcher starts runs: those that did are shutting down, or gone',
  step_paused:
    'what it is at was paused in Temporal (`penstock runs <run>` says by whom): unpause it there, or cancel the run',
};

export const command: Command = {
  args: [{ name: '<run>', doc: 'id of a run' }],
  options: [],
  config: clientConfig,
  run: async (input) => {
    const explanation = await connectClient(input).client.runs.explain(input.args[0] as string);
    if (input.json) printJson(explanation);
    else print(describe(explanation));
  },
};

type Pace = NonNullable<RunExplanationAnswer['pace']>;

function describe(told: RunExplanationAnswer): string {
  const { status, reason, until, position, places, workerClass, holders, pace } = told;
  const lines = [
    reason === null ? `it is ${status} and waits for nothing` : `${reason}: ${sentences[reason]}`,
    ...(workerClass === null
      ? []
      : [`of worker class ${workerClass}: penstock start --roles worker --worker-class ${workerClass}`]),
    ...(places ? [`${places.held} of ${places.cap} places are taken`] : []),
    ...(position === null ? [] : [`position ${position} of those that wait`]),
    ...(until === null ? [] : [`until ${until}`]),
    ...(pace ? describePace(pace) : []),
    ...(holders.length > 0 ? ['', tableOf(holders.map(rowOf))] : []),
  ];
  return lines.join('\n');
}

const describePace = ({ connection, limit, attempts, share }: Pace): string[] => [
  `its source ${connection} may be read at ${describeRate(limit)}, by ${attempts === 1 ? 'one attempt' : `${attempts} attempts together`}`,
  `this run may read ${describeRate(share)}`,
];

const rowOf = ({ runId, syncName, status, startedAt }: RunExplanationAnswer['holders'][number]) => ({
  run: runId,
  sync: syncName,
  status,
  'started at': startedAt ?? '',
});
