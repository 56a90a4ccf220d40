/** The sealed password of a connection: what it is bound to, and opening it. */
import { PenstockError } from '../domain/errors.ts';
import type { SecretBox, SecretContext } from '../ports/secret-box.ts';
import type { Tx } from './transaction.ts';

/** What a connection's password is bound to: its owner (null: the operator) and its id. */
export const passwordContext = (ownerId: string | null, connectionId: string): SecretContext => ({
  tenant: ownerId ?? 'operator',
  object: connectionId,
  field: 'password',
});

/** Opens the password of a row. Throws CONFIG when there is none, or when it does not open. */
export function openPassword(
  secretBox: SecretBox,
  row: { id: string; name: string; ownerId: string | null; sealed: string | null },
): string {
  if (row.sealed === null)
    throw new PenstockError('CONFIG', `connection ${row.name} has no password; set one`);
  return secretBox.open(Buffer.from(row.sealed, 'hex'), passwordContext(row.ownerId, row.id));
}

/** Which master keys sealed how many passwords that are in use, by the bytes of their envelopes. */
export async function listSealingKeys(
  client: Pick<Tx, 'query'>,
): Promise<{ keyId: string; count: number }[]> {
  await client.query('begin read only');
  try {
    await client.query('set local role penstock_engine');
    const { rows } = await client.query<{ keyId: string; count: number }>(
      `select encode(substring(sealed from 3 for get_byte(sealed, 1)), 'escape') as "keyId", count(*)::int as count
       from penstock.connection_secret where length(sealed) > 2 group by 1 order by 1`,
    );
    return rows;
  } finally {
    await client.query('rollback');
  }
}
