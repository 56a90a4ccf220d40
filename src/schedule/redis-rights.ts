/** What a user of Redis must be allowed, and no more: as rules for its administrator, and as a question to the server. */
import type { RedisAddress } from '../domain/redis-address.ts';
import type { RedisClient } from './connect-redis.ts';
import { bindCommands } from './redis-commands.ts';

/** What the files of commands/ run. */
export const scriptedCommands = [
  'del',
  'exists',
  'get',
  'hdel',
  'hget',
  'hmget',
  'hset',
  'info',
  'pexpire',
  'publish',
  'sadd',
  'scard',
  'set',
  'sismember',
  'smembers',
  'srem',
  'time',
  'zadd',
  'zcard',
  'zrange',
  'zrangebyscore',
  'zrank',
  'zrem',
  'zscore',
] as const;

/** What else a connection sends. */
const sentCommands = {
  single: ['eval', 'evalsha', 'ping', 'select', 'subscribe'],
  sentinel: ['eval', 'evalsha', 'ping', 'select', 'subscribe'],
  cluster: ['asking', 'cluster|info', 'cluster|slots', 'eval', 'evalsha', 'ping', 'readonly', 'subscribe'],
} as const satisfies Record<RedisAddress['kind'], readonly string[]>;

/** The rules of a user that may do what Penstock does and nothing else, as ACL SETUSER takes them. */
export const rightsOf = (kind: RedisAddress['kind']): string[] => [
  'resetkeys',
  '~{penstock}:*',
  'resetchannels',
  '&{penstock}:*',
  '-@all',
  ...[...scriptedCommands, ...sentCommands[kind]].sort().map((name) => `+${name}`),
];

/** The commands that this user is refused. */
export async function fetchRefused(client: RedisClient): Promise<string[]> {
  const { run, keys } = bindCommands(client, 'doctor');
  const isRight = async (attempt: Promise<unknown>): Promise<boolean> => {
    try {
      await attempt;
      return true;
    } catch (error) {
      if ((error as Error).message.startsWith('NOPERM')) return false;
      throw error;
    }
  };
  const rehearsal = run('rehearse', []);
  if (!(await isRight(rehearsal))) return ['eval', 'evalsha'];
  const refused = (await rehearsal) as string[];
  return (await isRight(client.subscribe(keys.rehearsal))) ? refused : [...refused, 'subscribe'];
}
