/** The version of the package, in what this process says of itself. */
import { readFileSync } from 'node:fs';

const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');

export const { version: packageVersion } = JSON.parse(text) as { version: string };
