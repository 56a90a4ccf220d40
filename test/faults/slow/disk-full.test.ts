/** P1, P2: the destination's disk is full in mid-copy; the copy says so, waits, and goes on by itself once there is room. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compareRows } from '../../../src/dev/demo/compare-rows.ts';
import { execute } from '../../support/execute.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { createFaultRoom, type FaultRoom } from '../support/fault-room.ts';
import { expectWholeDestination, untilNoSessions } from '../support/whole-destination.ts';

const run = promisify(execFile);
const mib = 1024 * 1024;

let room: FaultRoom;
let disk: string;
beforeAll(async () => {
  room = await createFaultRoom();
  disk = await mkdtemp(join(tmpdir(), 'penstock-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=96m,mode=755', 'none', disk]);
  await mkdir(join(disk, 'space'));
  await chmod(join(disk, 'space'), 0o777);
  // The server must own the folder, whoever it runs as.
  await run('chown', ['--reference', join(room.dataDir, 'postgres', 'data'), join(disk, 'space')]);
  await chmod(join(disk, 'space'), 0o700);
}, 60_000);
afterAll(async () => {
  await room.close();
  await run('umount', [disk]);
  await rm(disk, { recursive: true });
}, 60_000);

test.each(['append', 'upsert', 'replace'])(
  'a full disk in mode %s holds the copy up, and that is all',
  async (mode) => {
    await execute(room.sourceUrl, 'drop table if exists item');
    await execute(
      room.sourceUrl,
      `create table item as select i as id, repeat(md5(i::text), 60) as label from generate_series(1, 12000) i`,
    );
    await execute(room.sourceUrl, 'alter table item add primary key (id)');
    await room.renew();
    await execute(room.server.url, `create tablespace small location '${join(disk, 'space')}'`);
    await execute(room.destinationUrl, `alter database faults set default_tablespace = small`);
    const ballast = join(disk, 'ballast');
    await writeFile(ballast, Buffer.alloc(86 * mib));
    const flags = ['--query', 'select * from item', '--table', 'target', '--key', 'id', '--mode', mode];
    const copy = room.startCopy([...flags, '--batch-rows', '500']);
    await waitUntil('the word that the disk is full', () => copy.said.stderr.includes('DESTINATION_FULL'));
    await rm(ballast);
    const ended = await copy.ended;
    expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining('No space left on device') });
    expect(JSON.parse(ended.stdout)).toMatchObject({ receipt: { read: 12_000, inserted: 12_000 } });
    const found = await compareRows({
      source: { url: room.sourceUrl, query: 'select * from item' },
      destination: { url: room.destinationUrl, query: 'select * from target' },
      key: ['id'],
    });
    expect(found).toMatchObject({ missing: 0, extra: 0, different: 0, duplicated: 0 });
    await untilNoSessions(room.destinationUrl);
    await expectWholeDestination(room.destinationUrl);
    await execute(room.server.url, 'drop database faults with (force)');
    await execute(room.server.url, 'drop tablespace small');
  },
  120_000,
);
