/**
 * Jest runs the TypeScript sources as ES modules; processes that tests kill run the built `dist/`.
 * Two projects: `quick` needs no server, `full` has a stack of servers for each worker, which its global set-up starts.
 */
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '@swc/jest' },
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/.penstock'],
};

export default {
  testTimeout: 60_000,
  // Most files wait for servers and processes more than they compute.
  maxWorkers: 2,
  projects: [
    {
      ...common,
      displayName: 'quick',
      testMatch: [
        '<rootDir>/test/{unit,model,replay}/**/*.test.ts',
        '<rootDir>/test/contract/**/*.fake.test.ts',
      ],
    },
    {
      ...common,
      displayName: 'full',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: [
        ...(process.env.PENSTOCK_FAULT_SEEDS === undefined ? ['<rootDir>/test/faults/slow/'] : []),
        '<rootDir>/test/(unit|model|replay)/',
        '<rootDir>/test/contract/.*\\.fake\\.test\\.ts$',
      ],
      globalSetup: '<rootDir>/test/support/global-setup.mjs',
      globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
    },
  ],
};
