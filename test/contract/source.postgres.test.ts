import { createPipeRoom } from '../support/pipe-room.ts';
import { describeComparedRows } from './compared-rows.contract.ts';
import { contractRows, contractTable, describeSource, type SourceFixture } from './source.contract.ts';

const createFixture = async (reader: SourceFixture['reader']): Promise<SourceFixture> => {
  const room = await createPipeRoom();
  await room.from.query(contractTable);
  for (const row of contractRows.toReversed())
    await room.from.query('insert into contract_rows values ($1, $2, $3, $4)', [...row]);
  return {
    source: room.source,
    query: 'select * from contract_rows',
    queryUpTo: (column, placeholder) => `select * from contract_rows where ${column} <= {{${placeholder}}}`,
    reader,
    end: () => room.close(),
  };
};

for (const reader of ['copy', 'cursor'] as const)
  describeSource(`PostgreSQL, read by ${reader}`, () => createFixture(reader));

describeComparedRows('PostgreSQL', () => createFixture('copy'));
