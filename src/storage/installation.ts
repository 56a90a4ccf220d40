/** Which control database this is: the namespace of its keys in Redis, so that two of them never mix. */
import type { Pool } from 'pg';

/** The same after a failover or a restart; another one after a dump was restored elsewhere. */
export async function fetchInstallation(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ installation: string }>(
    `select system_identifier || '-' || (select oid from pg_database where datname = current_database()) as installation
     from pg_control_system()`,
  );
  return rows[0]!.installation;
}
