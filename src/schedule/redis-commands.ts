/**
 * The Lua files of commands/, each one atomic operation, as methods. Every key has the hash tag {penstock}, so that all
 * lie in one slot of a cluster, and the namespace of one control database, so that two never mix in one Redis.
 */
import { readFileSync } from 'node:fs';
import type { RedisClient } from './connect-redis.ts';

const keysOf = (namespace: string) => {
  const key = (name: string): string => `{penstock}:${namespace}:${name}`;
  return {
    due: key('due'),
    versions: key('versions:'),
    tenants: key('tenants'),
    virtual: key('virtual'),
    limits: key('limits'),
    starts: key('starts'),
    runs: key('runs'),
    ready: key('ready:'),
    parked: key('parked:'),
    parking: key('parking'),
    later: key('later'),
    active: key('active:'),
    global: key('active:global'),
    tickets: key('tickets'),
    admission: key('admission'),
    probe: key('probe'),
    rehearsal: key('rehearsal'),
    drift: key('drift'),
    marker: key('filled'),
    refilling: key('refilling'),
    wake: key('wake'),
  };
};
export type Keys = ReturnType<typeof keysOf>;

/** The keys of commands/shared/waiting.lua, which come first in the commands that it is written before. */
const waiting = [
  'tenants',
  'virtual',
  'runs',
  'ready',
  'parked',
  'parking',
  'later',
  'active',
  'limits',
  'starts',
] as const;

/** The keys of each command, in the order that its file states. */
const commandKeys = {
  probe: ['probe', 'marker'],
  rehearse: ['rehearsal'],
  claimDue: ['due'],
  postponeDue: ['due'],
  publishDue: ['due', 'versions', 'wake'],
  compareDue: ['due', 'versions', 'marker', 'drift'],
  fetchDrift: ['drift'],
  offerRuns: [...waiting, 'wake'],
  findStrays: waiting,
  admit: [...waiting, 'marker', 'tickets', 'admission'],
  explainRun: [...waiting, 'admission'],
  confirmStarts: ['tickets'],
  returnTickets: [...waiting, 'tickets', 'wake'],
  releaseRuns: [...waiting, 'tickets', 'wake'],
  fetchPlaces: ['global', 'tickets'],
  holdPlaces: waiting,
  freePlaces: [...waiting, 'tickets', 'wake'],
  unparkRuns: [...waiting, 'wake'],
  beginRefill: ['marker', 'refilling'],
  advanceRefill: ['marker', 'refilling'],
  saveTenants: [...waiting, 'wake'],
  saveConnections: [...waiting, 'wake'],
} as const satisfies Record<string, readonly (keyof Keys)[]>;
export type CommandName = keyof typeof commandKeys;

/** Runs one command; its arguments and result are as its file states. */
export type RunCommand = (name: CommandName, args: readonly (string | number)[]) => Promise<unknown>;

/** Binds the commands to a client and a namespace. */
export function bindCommands(redis: RedisClient, namespace: string): { run: RunCommand; keys: Keys } {
  const keys = keysOf(namespace);
  const read = (name: string): string =>
    readFileSync(new URL(`commands/${name}.lua`, import.meta.url), 'utf8');
  const shared = read('shared/waiting');
  for (const [name, ofCommand] of Object.entries(commandKeys))
    redis.defineCommand(name, {
      numberOfKeys: ofCommand.length,
      lua: ofCommand[0] === waiting[0] ? shared + read(name) : read(name),
    });
  const scripted = redis as unknown as Record<
    CommandName,
    (...args: (string | number)[]) => Promise<unknown>
  >;
  return {
    keys,
    run: (name, args) => scripted[name](...commandKeys[name].map((key) => keys[key]), ...args),
  };
}
