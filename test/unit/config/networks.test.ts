import { describe, expect, test } from '@jest/globals';
import { isAddressAllowed, parseNetworks } from '../../../src/config/networks.ts';

describe('addresses that connections may reach', () => {
  test.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])(
    'the public address %s is allowed',
    (address) => expect(isAddressAllowed(address, [])).toBe(true),
  );

  test.each([
    '127.0.0.1',
    '127.8.9.1',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    'fe80::1',
    'fe80::1%eth0',
    'fd12::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:a9fe:a9fe',
    '64:ff9b::7f00:1',
    '::127.0.0.1',
    '::ffff:0:10.0.0.1',
    'fec0::1',
    '3fff::1',
    '5f00::1',
    '2002:7f00:1::1',
    'localhost',
    '',
    '0x7f.1',
  ])('%s is refused', (address) => expect(isAddressAllowed(address, [])).toBe(false));

  test('an allowed network lets its own addresses through and no others', () => {
    const allowed = parseNetworks('10.20.0.0/16, ::1');
    expect(isAddressAllowed('10.20.3.4', allowed)).toBe(true);
    expect(isAddressAllowed('::ffff:10.20.3.4', allowed)).toBe(true);
    expect(isAddressAllowed('10.21.0.1', allowed)).toBe(false);
    expect(isAddressAllowed('::1', allowed)).toBe(true);
    expect(isAddressAllowed('127.0.0.1', allowed)).toBe(false);
  });
});
