import { describe, expect, test } from '@jest/globals';
import { describeOptions } from '../../../src/config/describe-options.ts';
import { loadConfig, loadRoleConfig } from '../../../src/config/load-config.ts';
import { envNameOf, optionTable, type OptionName } from '../../../src/config/options.ts';
import { codeOf } from '../../../src/domain/errors.ts';

const key = Buffer.alloc(32, 7).toString('base64');
const good = {
  PENSTOCK_DATABASE_URL: 'postgres://u:hush@db/penstock',
  PENSTOCK_REDIS_URL: 'redis://r:6379',
  PENSTOCK_MASTER_KEY: `a:${key}`,
};

function refusal(env: Record<string, string>, flags: Partial<Record<OptionName, string>> = {}): Error {
  try {
    loadRoleConfig(['api'], { env, flags });
  } catch (error) {
    expect(codeOf(error)).toBe('CONFIG');
    return error as Error;
  }
  throw new Error('it was accepted');
}

describe('options', () => {
  test('a complete environment is read, with defaults for the rest', () => {
    const config = loadRoleConfig(['api', 'worker'], { env: good });
    expect(config).toMatchObject({
      databaseUrl: good.PENSTOCK_DATABASE_URL,
      apiPort: 7070,
      logLevel: 'info',
    });
    expect(config.masterKey.map(({ id }) => id)).toEqual(['a']);
    expect(config.publicUrl).toBeUndefined();
  });

  test('a flag wins over the environment, an empty variable counts as absent', () => {
    const env = { ...good, PENSTOCK_API_PORT: '8080', PENSTOCK_LOG_LEVEL: ' ' };
    expect(loadConfig([], { env, flags: { apiPort: '9090' } })).toMatchObject({
      apiPort: 9090,
      logLevel: 'info',
    });
    expect(loadConfig([], { env }).apiPort).toBe(8080);
  });

  test('without a master key no role starts, and the line says how to make one', () => {
    const { PENSTOCK_MASTER_KEY: _, ...without } = good;
    const { message } = refusal(without);
    expect(message).toContain('PENSTOCK_MASTER_KEY');
    expect(message).toContain('openssl rand -base64 32');
    expect(message).not.toContain('\n');
  });

  test.each([
    ['PENSTOCK_DATABASE_URL', 'mysql://u:hush@db/x', 'postgres://'],
    ['PENSTOCK_REDIS_URL', 'hush', 'redis://'],
    ['PENSTOCK_TEMPORAL_ADDRESS', 'temporal', 'host:port'],
    ['PENSTOCK_TEMPORAL_ADDRESS', 'temporal:70000', 'host:port'],
    ['PENSTOCK_WORKER_CLASS', 'EU', 'lower-case'],
    ['PENSTOCK_WORKER_CLASS', 'eu,us', 'lower-case'],
    ['PENSTOCK_MASTER_KEY', 'hush', 'key id'],
    ['PENSTOCK_MASTER_KEY', `a:${Buffer.alloc(31).toString('base64')}`, '32 bytes'],
    ['PENSTOCK_MASTER_KEY', `a:${key},a:${key}`, 'twice'],
    ['PENSTOCK_API_PORT', '70000', 'from 0 to 65535'],
    ['PENSTOCK_API_PORT', '7e3', 'whole number'],
    ['PENSTOCK_PUBLIC_URL', 'ftp://x', 'http://'],
    ['PENSTOCK_WORKER_SLOTS', '0', 'from 1'],
    ['PENSTOCK_ROW_TIMEOUT', '300', 'from 1s to 1h'],
    ['PENSTOCK_ROW_TIMEOUT', '500ms', 'from 1s to 1h'],
    ['PENSTOCK_LOG_LEVEL', 'verbose', 'one of'],
    ['PENSTOCK_ALLOWED_NETWORKS', '10.0.0.0/33', 'networks'],
    ['PENSTOCK_ALLOWED_NETWORKS', 'localhost', 'networks'],
  ])('%s=%s is refused in one line that names it', (name, value, expected) => {
    const { message } = refusal({ ...good, [name]: value });
    expect(message).toContain(name);
    expect(message).toContain(expected);
    expect(message).not.toContain('hush');
    expect(message).not.toContain('\n');
  });

  test('a refused flag is called by its flag', () => {
    expect(refusal(good, { apiPort: 'x' }).message).toMatch(/^--api-port must be/);
  });

  test('every option has a description; secrets have no flag; no two share a variable', () => {
    const all = describeOptions();
    expect(all).toHaveLength(Object.keys(optionTable).length);
    for (const { doc, example } of all) expect([doc.endsWith('.'), example !== '']).toEqual([true, true]);
    expect(all.filter(({ flag }) => flag === undefined).map(({ name }) => name)).toEqual([
      'databaseUrl',
      'redisUrl',
      'temporalApiKey',
      'temporalPayloadKey',
      'masterKey',
      'apiKey',
      'copyFrom',
      'copyTo',
    ]);
    expect(new Set(all.map(({ env }) => env)).size).toBe(all.length);
    expect(envNameOf('temporalUiUrl')).toBe('PENSTOCK_TEMPORAL_UI_URL');
  });

  test('every default is a value that its own parser accepts', () => {
    expect(() => loadConfig([], { env: {} })).not.toThrow();
  });
});
