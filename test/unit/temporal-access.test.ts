import { describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/config/load-config.ts';
import { connectionOptions, temporalAccessOf } from '../../src/workers/temporal/temporal-access.ts';
import { tlsFile } from '../support/tls-front.ts';

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
    expect(optionsOf({ TLS_CA: tlsFile('ca.pem'), TLS: 'off' }).tls).toBeUndefined();
  });

  test('as Temporal Cloud wants it: by an API key, or by a certificate', () => {
    const address = 'acme.a1b2c.tmprl.cloud:7233';
    expect(optionsOf({ ADDRESS: address, API_KEY: 'secret' })).toEqual({
      address,
      apiKey: 'secret',
      tls: {},
    });
    const { tls } = optionsOf({ TLS_CERT: tlsFile('server.pem'), TLS_KEY: tlsFile('server.key') });
    expect(tls).toMatchObject({ clientCertPair: {} });
    const { crt, key } = (tls as { clientCertPair: { crt: Buffer; key: Buffer } }).clientCertPair;
    expect([begin(crt), begin(key)]).toEqual(['-----BEGIN', '-----BEGIN']);
  });

  test.each([
    ['a certificate without its key', { TLS_CERT: tlsFile('server.pem') }],
    ['a key without its certificate', { TLS_KEY: tlsFile('server.key') }],
    ['an API key that would travel in plain text', { API_KEY: 'secret', TLS: 'off' }],
    ['a file that is not there', { TLS_CA: '/nowhere.pem' }],
    ['a file that is no PEM', { TLS_CA: tlsFile('README.md') }],
  ])('never with %s', (_, env) => {
    expect(() => optionsOf(env)).toThrow(expect.objectContaining({ code: 'CONFIG' }));
    expect(() => optionsOf(env)).not.toThrow(/secret/);
  });
});
