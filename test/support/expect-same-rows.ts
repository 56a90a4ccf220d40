/** That a copy has every row of its source once, and no other. */
import { expect } from '@jest/globals';
import type { CopyingRoom } from './copying-room.ts';

/** @param table of the source, with the key `id`; its copy is `synced.<table>` */
export const expectSameRows = async (
  room: Pick<CopyingRoom, 'compare'>,
  table: string,
  rows: number,
): Promise<void> => {
  expect(await room.compare(`select * from ${table}`, `synced.${table}`, 'id')).toMatchObject({
    sourceRows: rows,
    destinationRows: rows,
    missing: 0,
    extra: 0,
    different: 0,
    duplicated: 0,
  });
};
