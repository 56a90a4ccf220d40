import { describe, expect, test } from '@jest/globals';
import { createHostGuard } from '../../../src/config/host-guard.ts';
import { parseNetworks } from '../../../src/config/networks.ts';

const lookup = async (host: string) => {
  const names: Record<string, string[]> = {
    'db.example.com': ['8.8.8.8', '2606:4700::1111'],
    'rebind.example.com': ['8.8.8.8', '169.254.169.254'],
    'inside.example.com': ['10.20.0.5'],
    '2130706433': ['127.0.0.1'],
    'empty.example.com': [],
  };
  const found = names[host];
  if (!found) throw Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
  return found.map((address) => ({ address }));
};

describe('the host of a connection', () => {
  const guard = createHostGuard([], lookup);

  test('that is public gives the addresses to connect to', async () => {
    expect(await guard.resolve('db.example.com')).toEqual(['8.8.8.8', '2606:4700::1111']);
    expect(await guard.resolve('8.8.8.8')).toEqual(['8.8.8.8']);
  });

  test.each([
    'rebind.example.com',
    'inside.example.com',
    '2130706433',
    '127.0.0.1',
    '::1',
    '::ffff:10.0.0.1',
  ])('%s is refused: one of its addresses is not public', async (host) => {
    await expect(guard.resolve(host)).rejects.toMatchObject({ code: 'HOST_NOT_ALLOWED' });
  });

  test('that is refused is not told by its address, which may be of the operator’s own name', async () => {
    await expect(guard.resolve('inside.example.com')).rejects.toMatchObject({
      message: expect.not.stringContaining('10.20.0.5'),
    });
  });

  test('in a network that the operator allows is let through', async () => {
    expect(
      await createHostGuard(parseNetworks('10.20.0.0/16'), lookup).resolve('inside.example.com'),
    ).toEqual(['10.20.0.5']);
  });

  test.each(['nowhere.example.com', 'empty.example.com'])(
    '%s does not resolve: that is the adapter’s to say',
    async (host) => {
      await expect(guard.resolve(host)).rejects.toMatchObject({ code: 'ENOTFOUND' });
    },
  );
});
