/** Reading rows without converting them, and keys as the source prints them. */
import { describe, expect, test } from '@jest/globals';
import { chooseFormat } from '../../../src/copy/choose-format.ts';
import { encodeRow } from '../../../src/copy/encode-rows.ts';
import { keyText } from '../../../src/copy/key-text.ts';
import { rowReader } from '../../../src/copy/row-format.ts';

describe('COPY text', () => {
  test('values are escaped so that a raw tab or line feed only ever ends a field or a row', () => {
    expect(encodeRow(['a\tb', 'c\nd', '\\', null, '', '\\N', '\r'])).toBe(
      'a\\tb\tc\\nd\t\\\\\t\\N\t\t\\\\N\t\\r\n',
    );
  });

  test('a key is unescaped, and the text \\N is not NULL', () => {
    const row = Buffer.from(encodeRow(['x', '\\N', 'a\tb\\']));
    const spans = new Int32Array(4);
    expect(rowReader('text', [1, 2])(row, 0, spans)).toBe(row.length);
    const fields = [0, 2].map((i) => row.subarray(spans[i], spans[i + 1]));
    expect(fields.map((field) => keyText('text', 25, field))).toEqual(['\\N', 'a\tb\\']);
  });

  test('a row that is torn is END_NOT_PROVEN', () => {
    for (const torn of ['', 'a', 'a\tb', 'a\tb\tc'])
      expect(() => rowReader('text', [1])(Buffer.from(torn), 0, new Int32Array(2))).toThrow(
        expect.objectContaining({ code: 'END_NOT_PROVEN' }),
      );
  });
});

describe('COPY binary', () => {
  test('a row that is torn is END_NOT_PROVEN', () => {
    const torn = Buffer.from([0, 1, 0, 0, 0, 9, 1]);
    expect(() => rowReader('binary', [0])(torn, 0, new Int32Array(2))).toThrow(
      expect.objectContaining({ code: 'END_NOT_PROVEN' }),
    );
  });

  test('NULL in a key is refused', () => {
    expect(() => keyText('binary', 23, undefined)).toThrow(expect.objectContaining({ code: 'KEY_NULL' }));
  });
});

describe('the format', () => {
  const id = { name: 'id', typeOid: 23, typeName: 'integer' };
  const both = ['binary', 'text'] as const;
  const column = (typeOid: number, typeName: string) => ({ name: 'v', typeOid, typeName });

  test('binary for built-in types into a new table', () => {
    expect(chooseFormat([id, column(3802, 'jsonb')], ['id'], null, both)).toBe('binary');
  });

  test.each([
    ['an enum', 16_500, 'mood'],
    ['a name of an object by its number', 2205, 'regclass'],
    ['xml', 142, 'xml'],
    ['a row', 2249, 'record'],
  ])('text for %s', (_, typeOid, typeName) => {
    expect(chooseFormat([id, column(typeOid, typeName)], ['id'], null, both)).toBe('text');
  });

  test('text where the target has another type; the length of the same one is applied to bytes as to text', () => {
    const source = [id, column(1043, 'character varying(10)')];
    expect(chooseFormat(source, ['id'], [id, column(25, 'text')], both)).toBe('text');
    expect(chooseFormat(source, ['id'], [id, column(1043, 'character varying(20)')], both)).toBe('binary');
    expect(chooseFormat(source, ['id'], [id, column(1043, 'character varying(10)')], both)).toBe('binary');
  });

  test('text where the source sends no binary rows', () => {
    expect(chooseFormat([id], ['id'], null, ['text'])).toBe('text');
  });

  test('text for a key whose binary form is not read here', () => {
    expect(chooseFormat([id, column(1700, 'numeric')], ['v'], null, both)).toBe('text');
  });
});
