/** Lets Node 20 import the TypeScript sources in scripts that do not run inside Jest: `node --import` this file. */
import { register } from 'node:module';

register('./ts-loader.mjs', import.meta.url);
