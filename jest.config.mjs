/**
 * Jest runs the TypeScript sources as ES modules; processes that tests kill run the built `dist/`.
 * Two projects: `quick` needs no server, `full` shares one stack that its global set-up starts.
 */
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '@swc/jest' },
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/.penstock'],
};

export default {
  testTimeout: 60_000,
  projects: [
    {
      ...common,
      displayName: 'quick',
      testMatch: [
        '<rootDir>/test/{unit,model,replay,lint}/**/*.test.ts',
        '<rootDir>/test/contract/**/*.fake.test.ts',
      ],
    },
    {
      ...common,
      displayName: 'full',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: [
        '<rootDir>/test/(unit|model|replay|lint)/',
        '<rootDir>/test/contract/.*\\.fake\\.test\\.ts$',
      ],
      globalSetup: '<rootDir>/test/support/global-setup.mjs',
      globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
    },
  ],
};
