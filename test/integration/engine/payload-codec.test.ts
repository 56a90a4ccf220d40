/** Runs whose payloads are encrypted: what Temporal keeps, who can read it, keys that are rotated, and the way over TLS. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import proto from '@temporalio/proto';
import { readDevOptions } from '../../../src/config/dev-options.ts';
import { findProgram } from '../../../src/dev/find-program.ts';
import { programs } from '../../../src/dev/programs.ts';
import { cacheDir } from '../../../src/dev/stack.ts';
import { connectClient } from '../../../src/workers/temporal/connect-client.ts';
import type { PayloadKeys } from '../../../src/workers/temporal/payload-codec.ts';
import { createPayloadTranslator } from '../../../src/workers/temporal/payload-translator.ts';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';
import { startPenstock } from '../../support/penstock-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

const older = { id: '2025', key: randomBytes(32) };
const newer = { id: '2026', key: randomBytes(32) };
const textOf = (keys: PayloadKeys): string =>
  keys.map(({ id, key }) => `${id}:${key.toString('base64')}`).join(',');

let room: CopyingRoom;
beforeAll(async () => {
  room = await createCopyingRoom(undefined, [older]);
  await room.source.query(
    `create table fine as select id from generate_series(1, 9) id; alter table fine add primary key (id);
     create table wrong as select id, 'x' as n from generate_series(1, 9) id; alter table wrong add primary key (id)`,
  );
  await room.addSync({ name: 'fine', mode: 'upsert', key: ['id'] });
  await room.addSync({
    name: 'wrong',
    mode: 'append',
    key: ['id'],
    source: { connection: 'source', query: 'select id, n::int from wrong' },
  });
});
afterAll(() => room?.close());

/** The history as Temporal keeps it. */
async function readRaw(workflowId: string): Promise<string> {
  const { namespace } = room.temporal;
  const { history } = await room.client.workflowService.getWorkflowExecutionHistory({
    namespace,
    execution: { workflowId },
  });
  return Buffer.from(proto.temporal.api.history.v1.History.encode(history!).finish()).toString('latin1');
}

describe('with a key', () => {
  test('inputs, results, summaries and failures are encrypted; codes, names and search attributes stay plain', async () => {
    await room.startWorker('all', { temporalPayloadKey: textOf([older]) });
    const run = await room.startRun('fine');
    expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows: 9 });
    const fine = await readRaw(run.workflowId);
    expect(fine).not.toContain(`"runId"`);
    expect(fine).not.toContain('loadId');
    expect(fine).not.toContain('from batch');
    expect(fine).toContain('copyPartition');

    const failing = await room.startRun('wrong');
    const seen: unknown = await failing.handle.result().catch(({ cause }: { cause: unknown }) => cause);
    const { code, message } = (await failing.fetch()).error!;
    expect(seen).toMatchObject({ type: code, message: expect.stringContaining(message!) as unknown });
    const text = await readRaw(failing.workflowId);
    expect(text).toContain(code);
    expect(text).not.toContain(message!.slice(0, 15));
    expect(text).toContain('Encoded failure');
  });

  test('who has no key is refused, and raw questions still work', async () => {
    const run = await room.startRun('fine');
    await run.handle.result();
    const stranger = connectClient(room.temporal);
    const wrong = connectClient({ ...room.temporal, payloadKeys: [newer] });
    try {
      await expect(stranger.workflow.getHandle(run.workflowId).result()).rejects.toThrow(/encoding/i);
      await expect(wrong.workflow.getHandle(run.workflowId).result()).rejects.toThrow('"2025"');
      const { namespace } = room.temporal;
      await stranger.workflowService.describeNamespace({ namespace });
    } finally {
      await stranger.connection.close();
      await wrong.connection.close();
    }
  });

  test('a rotated key encrypts what comes, and what was before is read with the old one', async () => {
    const before = await room.startRun('fine');
    await before.handle.result();
    const rotated = connectClient({ ...room.temporal, payloadKeys: [newer, older] });
    try {
      const { history } = await rotated.workflowService.getWorkflowExecutionHistory({
        namespace: room.temporal.namespace,
        execution: { workflowId: before.workflowId },
      });
      const sent = history!.events![0]!.workflowExecutionStartedEventAttributes!.input!.payloads![0]!;
      const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
      const asked = {
        metadata: Object.fromEntries(
          Object.entries(sent.metadata!).map(([name, value]) => [name, base64(value)]),
        ),
        data: base64(sent.data!),
      };
      const translator = createPayloadTranslator([newer, older]);
      const [decoded] = await translator.decode([asked]);
      expect(Buffer.from(decoded!.data!, 'base64').toString()).toContain(before.runId);
      const [again] = await translator.encode([decoded!]);
      expect(Buffer.from(again!.metadata!['encryption-key-id']!, 'base64').toString()).toBe('2026');
      expect(await rotated.workflow.getHandle(before.workflowId).result()).toMatchObject({
        status: 'succeeded',
      });
    } finally {
      await rotated.connection.close();
    }
  });

  test('Temporal’s CLI reads them through our codec endpoint, asked as docs/temporal.md says', async () => {
    const run = await room.startRun('fine');
    await run.handle.result();
    const { key } = await room.store.apiKeys.create(
      { tenantId: null, apiKeyId: null },
      { name: 'codec', role: 'viewer', expiresAt: null },
    );
    const api = startPenstock(['start', '--roles', 'api'], {
      ...room.environment,
      PENSTOCK_API_PORT: '0',
      PENSTOCK_TEMPORAL_PAYLOAD_KEY: textOf([newer, older]),
    });
    try {
      await waitUntil('the API listens', () => /"api: listening"/.test(api.said.stderr));
      const apiUrl = /"url":"(http:[^"]+)"/.exec(api.said.stderr)![1]!;
      const temporal = await findProgram(programs.temporal, {
        options: readDevOptions(),
        cacheDir,
        log: () => {},
      });
      const { address, namespace } = room.temporal;
      const show = async (...codec: string[]): Promise<string> => {
        const where = ['--address', address, '--namespace', namespace, '--workflow-id', run.workflowId];
        const args = [
          'workflow',
          'show',
          ...where,
          '--disable-config-file',
          '--disable-config-env',
          ...codec,
        ];
        return (await promisify(execFile)(temporal.file, args)).stdout;
      };
      const receipt = '"status":"succeeded"';
      expect(await show()).not.toContain(receipt);
      const asked = ['--codec-endpoint', `${apiUrl}/v1/codec`, '--codec-auth', `Bearer ${key}`];
      expect(await show(...asked)).toContain(receipt);
    } finally {
      api.process.kill();
      await api.ended;
    }
  }, 60_000);
});
