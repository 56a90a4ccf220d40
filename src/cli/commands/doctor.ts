/** `penstock doctor`: looks at every server that Penstock stands on, and says what to mend. */
import { loadConfig } from '../../config/load-config.ts';
import type { Command } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { print, printJson } from '../show.ts';

const marks = { ok: 'ok  ', warning: 'warn', failed: 'FAIL' } as const;

export const command: Command = {
  config: ['databaseUrl', 'redisUrl', 'temporalAddress', 'temporalNamespace', 'masterKey'],
  run: async ({ flags, json }) => {
    const config = loadConfig(['databaseUrl', 'redisUrl', 'masterKey'], { flags });
    const { examine } = await import('../../workers/doctor/examine.ts');
    const findings = await examine(config);
    const fit = findings.every(({ state }) => state !== 'failed');
    if (json) printJson({ ok: fit, findings });
    else
      for (const { subject, name, state, detail, cure } of findings)
        print(
          `${marks[state]}  ${subject.padEnd(9)} ${name}: ${detail}${cure === undefined ? '' : `\n      → ${cure}`}`,
        );
    return fit ? exitCodes.done : exitCodes.unfit;
  },
};
