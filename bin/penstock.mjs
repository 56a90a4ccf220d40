#!/usr/bin/env node
// @ts-check
/**
 * The entry of a checkout: sets up what is missing (packages, `dist/`), then does the task or runs the CLI. Plain
 * JavaScript without dependencies, so that it works right after `git clone`.
 */
import { setUp } from './set-up.mjs';
import { tasks } from './tasks.mjs';

const [verb = '', ...args] = process.argv.slice(2);
try {
  await setUp();
  const task = tasks[verb];
  if (task) process.exitCode = await task(args);
  else await import(new URL('../dist/cli/main.js', import.meta.url).href);
} catch (error) {
  if (!(error instanceof Error) || !('plain' in error)) throw error;
  process.stderr.write(`penstock: ${error.message}\n`);
  process.exitCode = 1;
}
