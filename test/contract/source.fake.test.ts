import { createFakeSource } from '../support/fake-source.ts';
import { contractColumns, contractRows, describeSource } from './source.contract.ts';

const query = 'the rows';

describeSource('in memory', async () => ({
  source: createFakeSource({ query, columns: contractColumns, rows: contractRows.toReversed() }),
  query,
  queryUpTo: (column, placeholder) => `${query} where ${column} <= {{${placeholder}}}`,
  reader: 'copy',
  end: async () => {},
}));
