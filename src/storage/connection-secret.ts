/** The sealed password of a connection: what it is bound to, and opening it. */
import { PenstockError } from '../domain/errors.ts';
import type { SecretBox, SecretContext } from '../ports/secret-box.ts';

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
