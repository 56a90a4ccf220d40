/** What dispatchers, workers and time do: whole operations, or call by call with anything in between. */
import * as fc from 'fast-check';
import { command, which, withOpen, type Command, type Shares } from './scheduler-command.ts';
import { editAll } from './scheduler-users.ts';
import { advance } from './scheduler-world.ts';
import { operationNames, type OperationName, type SlowDispatcher } from './slow-dispatcher.ts';

const time = fc
  .constantFrom(1_000, 7_000, 31_000, 60_000, 60_000, 61_000, 120_000, 300_000)
  .map((ms) => command(`${ms / 1000} s pass`, (world) => advance(world, ms)));

export const dispatcher = fc.constantFrom<0 | 1>(0, 1);
export const operation = fc.constantFrom(
  'tick',
  'tick',
  'tick',
  'admit',
  'admit',
  'admit',
  'sweep',
  ...operationNames,
);
const whole = fc
  .tuple(dispatcher, operation)
  .map(([d, name]) =>
    command(`dispatcher ${d} does ${name}`, ({ dispatchers }) => dispatchers[d].does(name)),
  );
const part = fc.tuple(dispatcher, operation, fc.nat(9)).map(([d, name, calls]) =>
  command(`dispatcher ${d} begins ${name} and goes ${calls} calls`, async ({ dispatchers }) => {
    await dispatchers[d].begin(name);
    await dispatchers[d].go(calls);
  }),
);
const on = fc
  .tuple(dispatcher, fc.integer({ min: 1, max: 4 }))
  .map(([d, calls]) =>
    command(`dispatcher ${d} goes ${calls} calls on`, ({ dispatchers }) => dispatchers[d].go(calls)),
  );
/** Something happens after so many calls of an operation. */
async function during(
  { begin, go, finish }: SlowDispatcher,
  [name, calls]: readonly [OperationName, number],
  happen: () => Promise<unknown>,
): Promise<void> {
  await finish();
  await begin(name);
  await go(calls);
  await happen();
  await finish();
}

/** One operation with one thing, or time, between two of its steps. */
export const midway = (what: fc.Arbitrary<Command>): fc.Arbitrary<Command> =>
  fc
    .tuple(dispatcher, operation, fc.nat(6), fc.oneof(what, time))
    .map(([d, name, calls, between]) =>
      command(`dispatcher ${d} does ${name}, after ${calls} calls: ${between.toString()}`, (world) =>
        during(world.dispatchers[d], [name, calls], () => between.run({}, world)),
      ),
    );

/** What was settled under the old definitions is published late. */
export const deploy = fc.tuple(dispatcher, fc.integer({ min: 1, max: 3 }), editAll).map(([d, calls, edits]) =>
  command(
    `60 s pass, dispatcher ${d} does tick, after ${calls} calls: ${edits.toString()}`,
    async (world) => {
      await world.dispatchers[d].finish();
      await advance(world, 60_000);
      await during(world.dispatchers[d], ['tick', calls], () => edits.run({}, world));
    },
  ),
);

const work = fc.tuple(which, fc.boolean()).map(([n, hears]) =>
  command(
    `a worker takes run ${n} on${hears ? '' : ', unheard'}`,
    withOpen(n, (run, world) => world.work(run, hears)),
  ),
);
/** Dispatchers that are as slow as they like, and workers, by how often each of them acts. */
export const stepShares: Shares = [
  [7, time],
  [9, whole],
  [4, part],
  [3, on],
  [5, work],
];
