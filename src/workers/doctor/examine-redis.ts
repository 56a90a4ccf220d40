/** Redis: reachable, new enough, and not deleting keys by itself. */
import { Redis } from 'ioredis';
import { clockFinding, findingsOf, wordsOf, type Finding } from './finding.ts';

const { ok, failed } = findingsOf('redis');
const timeoutMs = 3_000;

export async function examineRedis(url: string): Promise<Finding[]> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  let lastError: unknown;
  redis.on('error', (error) => {
    lastError = error;
  });
  try {
    await redis.connect();
    const info = await redis.info();
    const askedMs = Date.now();
    const [seconds, micros] = await redis.time();
    const answeredMs = Date.now();
    return [
      examineVersion(fieldOf(info, 'redis_version')),
      examineEviction(fieldOf(info, 'maxmemory_policy'), Number(fieldOf(info, 'maxmemory'))),
      clockFinding('redis', Number(seconds) * 1000 + Number(micros) / 1000, askedMs, answeredMs),
    ];
  } catch (error) {
    return [
      failed('reachable', {
        detail: wordsOf(lastError ?? error),
        cure: 'Check PENSTOCK_REDIS_URL, that the server runs, and its password. Until then runs start from the rows, more slowly.',
      }),
    ];
  } finally {
    redis.disconnect();
  }
}

const fieldOf = (info: string, name: string): string =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';

function examineVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 6 || (major === 6 && minor >= 2)) return ok('version', version);
  return failed('version', { detail: version || 'unknown', cure: 'Use Redis 6.2 or later.' });
}

/** `volatile-*` deletes keys that expire; ours that do are short leases, but a full server then refuses writes. */
function examineEviction(policy: string, maxBytes: number): Finding {
  if (policy === 'noeviction') return ok('eviction', 'noeviction');
  return failed('eviction', {
    detail: `${policy || 'unknown'}${maxBytes === 0 ? '' : ` at ${maxBytes} bytes`}: it would delete the index`,
    cure: 'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.',
  });
}
