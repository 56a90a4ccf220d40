/**
 * The Lua files of commands/, each one atomic operation, as methods. Every key has the hash tag {penstock}, so that all
 * lie in one slot of a cluster, and the namespace of one control database, so that two never mix in one Redis.
 */
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';

const keysOf = (namespace: string) => {
  const key = (name: string): string => `{penstock}:${namespace}:${name}`;
  return {
    due: key('due'),
    versions: key('versions:'),
    tenants: key('tenants'),
    virtual: key('virtual'),
    limits: key('limits'),
    runs: key('runs'),
    ready: key('ready:'),
    active: key('active:global'),
    tickets: key('tickets'),
    marker: key('filled'),
    refilling: key('refilling'),
    wake: key('wake'),
  };
};
export type Keys = ReturnType<typeof keysOf>;

/** The keys of each command, in the order that its file states. */
const commandKeys = {
  claimDue: ['due'],
  postponeDue: ['due'],
  publishDue: ['due', 'versions', 'wake'],
  offerRuns: ['tenants', 'virtual', 'runs', 'active', 'ready', 'wake'],
  admit: ['marker', 'tickets', 'active', 'tenants', 'virtual', 'limits', 'runs', 'ready'],
  confirmStarts: ['tickets'],
  returnTickets: ['tickets', 'active', 'runs', 'tenants', 'virtual', 'ready', 'wake'],
  releaseRuns: ['active', 'tickets', 'runs', 'ready', 'wake'],
  fetchPlaces: ['active', 'tickets'],
  holdPlaces: ['active', 'runs', 'ready'],
  freePlaces: ['active', 'tickets', 'runs', 'wake'],
  beginRefill: ['marker', 'refilling'],
  advanceRefill: ['marker', 'refilling'],
  saveLimits: ['limits'],
} as const satisfies Record<string, readonly (keyof Keys)[]>;
export type CommandName = keyof typeof commandKeys;

/** Runs one command; its arguments and result are as its file states. */
export type RunCommand = (name: CommandName, args: readonly (string | number)[]) => Promise<unknown>;

/** Binds the commands to a client and a namespace. */
export function bindCommands(redis: Redis, namespace: string): { run: RunCommand; keys: Keys } {
  const keys = keysOf(namespace);
  for (const [name, ofCommand] of Object.entries(commandKeys))
    redis.defineCommand(name, {
      numberOfKeys: ofCommand.length,
      lua: readFileSync(new URL(`commands/${name}.lua`, import.meta.url), 'utf8'),
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
