/**
 * Rows of a source that has no COPY, as COPY text: values are what the source printed, NULL is null. From here on they
 * are the same bytes as those of any other source.
 */

const special = /[\\\n\r\t]/;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const encodeValue = (value: string | null): string => {
  if (value === null) return '\\N';
  return special.test(value) ? value.replace(/[\\\n\r\t]/g, (c) => escapes[c]!) : value;
};

/** One row, with its line feed. */
export const encodeRow = (row: readonly (string | null)[]): string => `${row.map(encodeValue).join('\t')}\n`;
