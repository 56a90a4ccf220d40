import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { codeOf } from '../../src/domain/errors.ts';
import { createSecretBox, keyIdOf } from '../../src/storage/secret-box.ts';

const old = { id: '2025', key: Buffer.alloc(32, 1) };
const current = { id: '2026', key: Buffer.alloc(32, 2) };
const box = createSecretBox([current, old]);
const place = { tenant: 'ten_a', object: 'con_a', field: 'password' };

const refuses = (open: () => string) => {
  try {
    open();
  } catch (error) {
    expect(codeOf(error)).toBe('CONFIG');
    return (error as Error).message;
  }
  throw new Error('it opened');
};

describe('sealed secrets', () => {
  test('any text comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(box.open(box.seal(text, place), place)).toBe(text);
      }),
    );
  });

  test('the same text sealed twice gives different bytes, and none of them is the text', () => {
    const [first, second] = [
      box.seal('correct horse battery', place),
      box.seal('correct horse battery', place),
    ];
    expect(first.equals(second)).toBe(false);
    expect(first.includes('correct')).toBe(false);
  });

  test.each([
    ['tenant', { ...place, tenant: 'ten_b' }],
    ['object', { ...place, object: 'con_b' }],
    ['field', { ...place, field: 'token' }],
  ])('another %s does not open it', (_, elsewhere) => {
    expect(refuses(() => box.open(box.seal('x', place), elsewhere))).toContain('does not open');
  });

  test('a bit flipped anywhere is noticed', () => {
    const sealed = box.seal('hush', place);
    for (let index = 0; index < sealed.length; index += 1) {
      const bent = Buffer.from(sealed);
      bent[index] = (bent[index] as number) ^ 1;
      refuses(() => box.open(bent, place));
    }
  });

  test('bytes cut short are noticed', () => {
    const sealed = box.seal('hush', place);
    for (let length = 0; length < sealed.length; length += 1)
      refuses(() => box.open(sealed.subarray(0, length), place));
  });

  test('after a rotation the old key still opens and the new one seals', () => {
    const sealed = createSecretBox([old]).seal('hush', place);
    expect(keyIdOf(sealed)).toBe('2025');
    expect(box.open(sealed, place)).toBe('hush');
    expect(keyIdOf(box.seal('hush', place))).toBe('2026');
  });

  test('a key that is gone is named, the secret is not', () => {
    const message = refuses(() =>
      createSecretBox([current]).open(createSecretBox([old]).seal('hush', place), place),
    );
    expect(message).toContain('2025');
    expect(message).not.toContain('hush');
  });

  test('another key under the same id does not open it', () => {
    const impostor = createSecretBox([{ id: '2026', key: Buffer.alloc(32, 3) }]);
    expect(refuses(() => impostor.open(box.seal('hush', place), place))).toContain('2026');
  });
});
