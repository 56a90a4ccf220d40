/** A source with a table of so many rows, and the query that reads it. */
import { createPipeRoom, type PipeRoom } from '../../support/pipe-room.ts';

export const itemQuery = 'select * from item';

/** @param label SQL of the second column, beside `id`; `i` is the row's number */
export async function createItemRoom(rows: number, label = `'item ' || i`): Promise<PipeRoom> {
  const room = await createPipeRoom();
  await room.from.query(
    `create table item as select i as id, ${label} as label from generate_series(1, ${rows}) i;
     alter table item add primary key (id)`,
  );
  return room;
}
