/** `penstock dev`: runs until it is told to stop, then drains the roles before the servers go. */
import { once } from 'node:events';
import { relative } from 'node:path';
import { startDevStack, type DevAddresses } from '../../dev/dev-stack.ts';
import type { Command } from '../command.ts';

/** 128 + SIGINT, as shells report it. */
const exitInterrupted = 130;

export const command: Command = {
  options: [
    { flag: '--data-dir <dir>', doc: 'where the servers keep their data and logs', default: '.penstock/dev' },
  ],
  run: async ({ options, json }) => {
    const log = (line: string) => process.stderr.write(`${line}\n`);
    const asked = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    const dev = await Promise.race([
      startDevStack({ dataDir: String(options['dataDir']), log, echoLogs: true, keepServers: true }),
      asked,
    ]);
    // Told to stop while it starts: the guard ends what is there.
    if (!('addresses' in dev)) process.exit(exitInterrupted);
    process.stdout.write(json ? `${JSON.stringify(dev.addresses())}\n` : describe(dev.addresses()));
    try {
      await Promise.race([asked, dev.refused]);
    } finally {
      log('stopping: the roles finish the batches in hand, then the servers end');
      await dev.stop();
    }
  },
};

function describe(addresses: DevAddresses): string {
  const { apiUrl, apiKey, temporalUiUrl, postgresUrl, redisUrl, dataDir, envFile } = addresses;
  return `
Penstock is running. Ctrl-C stops it; its data stays.

  API              ${apiUrl}
  API docs         ${apiUrl}/docs
  API key          ${apiKey}
  Temporal Web UI  ${temporalUiUrl}
  PostgreSQL       ${postgresUrl}
  Redis            ${redisUrl}
  data and logs    ${dataDir}

In another terminal, before penstock doctor, trigger, runs …:

  . ${relative('.', envFile)}

A first sync, command by command: docs/first-sync.md

`;
}
