/**
 * How rows can be read: by COPY where the server has it, else through a portal. Asked of the server itself, since what
 * speaks PostgreSQL's protocol need not have COPY (or only one of its formats), and one that has it may forbid it.
 */
import type { Client } from 'pg';
import type { QueryProbe } from '../../ports/source.ts';
import { runAll } from '../../postgres-client/query.ts';
import { shortMs } from './source-session.ts';

/** Ends the transaction where the server refuses; to be called last in it. */
export async function findReader(client: Client): Promise<Pick<QueryProbe, 'reader' | 'formats'>> {
  if (await takesCopy(client, 'binary')) return { reader: 'copy', formats: ['binary', 'text'] };
  return { reader: (await takesCopy(client, 'text')) ? 'copy' : 'cursor', formats: ['text'] };
}

/** What a server says to a statement or an option that it does not know or not allow; anything else says nothing about COPY. */
const refused = /^(0A|22|42)/;

async function takesCopy(client: Client, format: 'binary' | 'text'): Promise<boolean> {
  try {
    await runAll(client, `copy (select 1 where false) to stdout (format ${format})`, shortMs);
    return true;
  } catch (error) {
    if (!refused.test((error as { code?: string }).code ?? '')) throw error;
    await runAll(client, 'rollback', shortMs);
    return false;
  }
}
