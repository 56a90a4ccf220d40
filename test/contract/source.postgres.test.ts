import { createPipeRoom } from '../support/pipe-room.ts';
import { contractRows, contractTable, describeSource } from './source.contract.ts';

for (const reader of ['copy', 'cursor'] as const)
  describeSource(`PostgreSQL, read by ${reader}`, async () => {
    const room = await createPipeRoom();
    await room.from.query(contractTable);
    for (const row of contractRows.toReversed())
      await room.from.query('insert into contract_rows values ($1, $2, $3)', [...row]);
    return {
      source: room.source,
      query: 'select * from contract_rows',
      reader,
      end: () => room.close(),
    };
  });
