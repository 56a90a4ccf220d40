/** Puts a failure's message and stack trace into a payload, where a codec encrypts them. Its type, a code, stays plain. */
import { DefaultFailureConverter } from '@temporalio/common';

export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
