/** One statement of a test, where a connection that is kept would be in the way. */
import { Client } from 'pg';

/** Runs one statement on a connection of its own. */
export async function execute<Row extends object>(
  url: string,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(sql, [...parameters])).rows;
  } finally {
    await client.end();
  }
}
