import { expect, test } from '@jest/globals';
import { createSdkLogger } from '../../../src/workers/temporal/sdk-logger.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';

const failureSaid = (message: string, error: unknown): unknown => {
  const { logger, lines } = createKeptLogger();
  createSdkLogger(logger).warn(message, { error, workflowId: 'acme:s:run_1', input: 'select secret' });
  expect(lines.join()).not.toContain('secret');
  return (JSON.parse(lines[0]!) as { failure: unknown }).failure;
};

test('a workflow that failed is logged with what its history says', () => {
  expect(failureSaid('Workflow failed', new Error('The login was refused. Correct it.'))).toEqual({
    message: 'The login was refused. Correct it.',
  });
});

test('an error of foreign code is logged by its kind alone, since its text may quote a row', () => {
  expect(failureSaid('Activity failed', new TypeError('invalid "secret"'))).toEqual({
    code: 'INTERNAL',
    message: "unexpected TypeError; the worker's log says where",
  });
});
