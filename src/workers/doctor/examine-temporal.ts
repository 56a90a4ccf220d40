/** Temporal: reachable, namespace there, search attributes registered with our types. */
import { Connection } from '@temporalio/client';
import { searchAttributes } from '../../domain/search-attributes.ts';
import { compareSearchAttributes } from '../temporal/search-attributes.ts';
import { connectionOptions, type TemporalAccess } from '../temporal/temporal-access.ts';
import { findingsOf, wordsOf, type Finding } from './finding.ts';

const { ok, failed } = findingsOf('temporal');
const timeoutMs = 5_000;

export async function examineTemporal(access: TemporalAccess): Promise<Finding[]> {
  const { address, namespace } = access;
  const connection = Connection.lazy(connectionOptions(access));
  const asking = <T>(question: () => Promise<T>): Promise<T> =>
    connection.withDeadline(Date.now() + timeoutMs, question);
  try {
    const info = await asking(() => connection.workflowService.getSystemInfo({})).catch(
      (error: unknown) => error,
    );
    if (info instanceof Error)
      return [
        failed('reachable', {
          detail: `${address}: ${wordsOf(info)}`,
          cure: 'Check PENSTOCK_TEMPORAL_ADDRESS and that the frontend runs. Runs stay queued until it answers.',
        }),
      ];
    const { serverVersion = '?' } = info as { serverVersion?: string };
    return [ok('version', serverVersion), ...(await asking(() => examineNamespace(connection, namespace)))];
  } catch (error) {
    return [failed('answers', { detail: wordsOf(error), cure: 'Try again; look at the server’s log.' })];
  } finally {
    await connection.close();
  }
}

async function examineNamespace(connection: Connection, namespace: string): Promise<Finding[]> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
  } catch (error) {
    return [
      failed('namespace', {
        detail: `${namespace}: ${wordsOf(error)}`,
        cure: `temporal operator namespace create --namespace ${namespace} --retention 7d`,
      }),
    ];
  }
  const { missing, wrong } = await compareSearchAttributes(connection, namespace);
  return [ok('namespace', namespace), examineAttributes(namespace, missing, wrong)];
}

/** Workers add missing ones when they start; one of another type makes every start fail. */
function examineAttributes(
  namespace: string,
  missing: readonly (keyof typeof searchAttributes)[],
  wrong: readonly string[],
): Finding {
  const name = 'search attributes';
  if (wrong.length > 0)
    return failed(name, {
      detail: `${wrong.join(', ')} have another type`,
      cure: `temporal operator search-attribute remove --namespace ${namespace} ${wrong.map((one) => `--name ${one}`).join(' ')}; workers add them again`,
    });
  if (missing.length > 0)
    return findingsOf('temporal').warning(name, {
      detail: `lacks ${missing.join(', ')}`,
      cure: `Start a worker, which adds them, or: temporal operator search-attribute create --namespace ${namespace} ${missing.map((one) => `--name ${one} --type ${searchAttributes[one]}`).join(' ')}`,
    });
  return ok(name, 'registered');
}
