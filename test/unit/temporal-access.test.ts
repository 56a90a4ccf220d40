import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/config/load-config.ts';
import { connectionOptions, temporalAccessOf } from '../../src/workers/temporal/temporal-access.ts';

const pem = (name: string): string => fileURLToPath(new URL(`../support/tls/${name}`, import.meta.url));

const optionsOf = (env: Record<string, string>) => {
  const named = Object.fromEntries(
    Object.entries(env).map(([name, value]) => [`PENSTOCK_TEMPORAL_${name}`, value]),
  );
  return connectionOptions(temporalAccessOf(loadConfig([], { env: named })));
};
const begin = (bytes: Buffer | undefined): string | undefined => bytes?.toString().slice(0, 10);

describe('Temporal is reached', () => {
  test('in plain text unless something asks for TLS', () => {
    expect(optionsOf({})).toEqual({ address: '127.0.0.1:7233' });
    expect(optionsOf({ TLS: 'on' }).tls).toEqual({});
    expect(optionsOf({ TLS_CA: pem('ca.pem'), TLS: 'off' }).tls).toBeUndefined();
  });

  test('as Temporal Cloud wants it: by an API key, or by a certificate', () => {
    const address = 'acme.a1b2c.tmprl.cloud:7233';
    expect(optionsOf({ ADDRESS: address, API_KEY: 'secret' })).toEqual({
      address,
      apiKey: 'secret',
      tls: {},
    });
    const { tls } = optionsOf({ TLS_CERT: pem('server.pem'), TLS_KEY: pem('server.key') });
    expect(tls).toMatchObject({ clientCertPair: {} });
    const { crt, key } = (tls as { clientCertPair: { crt: Buffer; key: Buffer } }).clientCertPair;
    expect([begin(crt), begin(key)]).toEqual(['-----BEGIN', '-----BEGIN']);
  });

  test.each([
    ['a certificate without its key', { TLS_CERT: pem('server.pem') }],
    ['a key without its certificate', { TLS_KEY: pem('server.key') }],
    ['an API key that would travel in plain text', { API_KEY: 'secret', TLS: 'off' }],
    ['a file that is not there', { TLS_CA: '/nowhere.pem' }],
    ['a file that is no PEM', { TLS_CA: pem('README.md') }],
  ])('never with %s', (_, env) => {
    expect(() => optionsOf(env)).toThrow(expect.objectContaining({ code: 'CONFIG' }));
    expect(() => optionsOf(env)).not.toThrow(/secret/);
  });
});
