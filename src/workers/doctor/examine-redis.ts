/** Redis: reachable, new enough, not deleting keys by itself, and entered by a user with the rights that are needed. */
import type { RedisAddress } from '../../domain/redis-address.ts';
import { connectRedis, type RedisClient } from '../../schedule/connect-redis.ts';
import { bindCommands } from '../../schedule/redis-commands.ts';
import { fetchRefused, rightsOf } from '../../schedule/redis-rights.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { clockFinding, findingsOf, type Finding } from './finding.ts';
import { describeUnreached } from './redis-unreached.ts';

const { ok, warning, failed } = findingsOf('redis');

export async function examineRedis(address: RedisAddress): Promise<Finding[]> {
  const log = createLogger({ level: 'silent', name: 'doctor' });
  const { client, isSettled, lastUnreached } = connectRedis({ address, purpose: 'doctor', log });
  let firstError: unknown;
  client.on('error', (error: Error) => {
    firstError ??= error;
  });
  try {
    await isSettled;
    const info = await client.info();
    const askedMs = Date.now();
    const probed = await bindCommands(client, 'doctor')
      .run('probe', [])
      .catch((error: unknown) => error as Error);
    const answeredMs = Date.now();
    const user = await examineUser(client, address);
    if (user.state === 'failed') return [examineVersion(info), user];
    if (probed instanceof Error) throw probed;
    const [nowMs, policy] = probed as [number, string];
    return [
      examineVersion(info),
      examineEviction(policy),
      clockFinding('redis', nowMs, askedMs, answeredMs),
      user,
    ];
  } catch (error) {
    const trouble = { address, error: firstError ?? error, unreached: lastUnreached() };
    return [failed('reachable', describeUnreached(trouble))];
  } finally {
    client.disconnect();
  }
}

function examineVersion(info: string): Finding {
  const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? '';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 6 || (major === 6 && minor >= 2)) return ok('version', version);
  return failed('version', { detail: version || 'unknown', cure: 'Use Redis 6.2 or later, or Valkey.' });
}

/** Also `volatile-*`: who chose it for other keys of that server has not chosen a server that keeps ours. */
function examineEviction(policy: string): Finding {
  if (policy === 'noeviction') return ok('eviction', 'noeviction');
  return failed('eviction', {
    detail: `${policy || 'unknown'}: it would delete the index`,
    cure: 'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.',
  });
}

/** Asked last: a connection that has subscribed does nothing else. */
async function examineUser(client: RedisClient, { kind, login }: RedisAddress): Promise<Finding> {
  const user = login.username ?? 'default';
  const isUnlimited = await client.exists('not-of-penstock').then(
    () => true,
    () => false,
  );
  const refused = await fetchRefused(client);
  if (refused.length > 0)
    return failed('user', {
      detail: `${user} may not ${refused.join(', ')} with the keys and channels {penstock}:*`,
      cure: `ACL SETUSER ${user} ${rightsOf(kind).join(' ')}`,
    });
  if (!isUnlimited) return ok('user', `${user} may do what is needed`);
  return warning('user', {
    detail: `${user} may touch keys that are not Penstock’s`,
    cure: `Use one that may not: ACL SETUSER penstock on '>a password' ${rightsOf(kind).join(' ')}`,
  });
}
