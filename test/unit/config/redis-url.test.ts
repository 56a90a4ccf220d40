import { describe, expect, test } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import { tlsFile } from '../../support/tls-front.ts';

const none = { login: {}, sentinelLogin: {} };

describe('the URL of Redis', () => {
  test('names one server, by default at port 6379 and in database 0', () => {
    const single = { ...none, kind: 'single', database: 0 };
    expect(parseRedisUrl('redis://r')).toEqual({ ...single, nodes: [{ host: 'r', port: 6379 }] });
    expect(parseRedisUrl('redis://u:p%40%3A:x@[::1]:7/3')).toEqual({
      ...single,
      nodes: [{ host: '::1', port: 7 }],
      database: 3,
      login: { username: 'u', password: 'p@::x' },
    });
    expect(parseRedisUrl('redis://:secret@r').login).toEqual({ password: 'secret' });
  });

  test('names Sentinels, the master that they watch, and how both are entered', () => {
    const url = 'redis+sentinel://u:p@a,b:26380/mymaster/2?sentinel_user=s&sentinel_password=t';
    expect(parseRedisUrl(url)).toEqual({
      kind: 'sentinel',
      nodes: [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 26_380 },
      ],
      master: 'mymaster',
      database: 2,
      login: { username: 'u', password: 'p' },
      sentinelLogin: { username: 's', password: 't' },
    });
  });

  test('names some nodes of a cluster', () => {
    const nodes = [
      { host: 'a', port: 6379 },
      { host: 'b', port: 7000 },
    ];
    expect(parseRedisUrl('redis+cluster://a,b:7000')).toEqual({
      ...none,
      kind: 'cluster',
      nodes,
      database: 0,
    });
  });

  test('asks for TLS with rediss, whose certificate is checked unless it says otherwise', () => {
    const file = tlsFile('ca.pem');
    expect(parseRedisUrl('rediss://r').tls).toEqual({ rejectUnauthorized: true });
    expect(parseRedisUrl('rediss+cluster://r?sslmode=require').tls).toEqual({ rejectUnauthorized: false });
    const tls = parseRedisUrl(`rediss://r?sslrootcert=${file}&sslcert=${file}&sslkey=${file}`).tls!;
    expect(Object.keys(tls).sort()).toEqual(['ca', 'cert', 'key', 'rejectUnauthorized']);
    expect(tls.ca).toContain('BEGIN CERTIFICATE');
  });

  test.each([
    ['http://r', 'redis+sentinel://'],
    ['redis://', 'redis+sentinel://'],
    ['redis://r#1', 'redis+sentinel://'],
    ['redis://r:99999', 'host:port'],
    ['redis://a,b', 'one host'],
    ['redis://r/zero', 'number of a database'],
    ['redis://r/1/2', 'number of a database'],
    ['redis://:hush%@r', '%25'],
    ['redis://r?sslmode=require', 'it has sslmode'],
    ['rediss://r?tls=hush', 'it has tls'],
    ['rediss://r?sslmode=hush', 'verify-full or require'],
    ['rediss://r?sslrootcert=/nowhere/hush', 'sslrootcert that can be read'],
    [`rediss://r?sslcert=${fileURLToPath(import.meta.url)}`, 'sslkey together'],
    ['redis+sentinel://a', 'the master'],
    ['redis+cluster://a/1', 'no database'],
  ])('%s is refused in words that quote nothing of it', (url, expected) => {
    let message = '';
    try {
      parseRedisUrl(url);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/^must /);
    expect(message).toContain(expected);
    expect(message).not.toContain('hush');
  });
});
