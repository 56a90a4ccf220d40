/**
 * Session settings that decide how values are written as text. Both ends use the same, so that what one end prints the
 * other reads back to the same value. Local to the transaction, hence right behind a transaction pooler.
 */
export const textSettings = {
  client_encoding: 'UTF8',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '3',
  bytea_output: 'hex',
  xmloption: 'content',
  lc_monetary: 'C',
  standard_conforming_strings: 'on',
} as const;

/** `set local …; set local …` */
export const setLocal = (settings: Readonly<Record<string, string | number>>): string =>
  Object.entries(settings)
    .map(([name, value]) => `set local ${name} = '${String(value).replaceAll("'", "''")}'`)
    .join('; ');
