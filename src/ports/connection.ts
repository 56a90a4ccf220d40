/**
 * How to reach a tenant's or the operator's database: discrete fields only, because connection strings read files and
 * set options.
 */
import type { GrantedTables } from '../domain/connection-grant.ts';

export interface ConnectionSettings {
  host: string;
  port: number;
  database: string;
  user: string;
  tls: { mode: 'disable' | 'require' | 'verify-full'; ca?: string | undefined };
}

/** Settings with the opened secret: lives in memory only, never in payloads, logs or errors. */
export interface ConnectionAccess extends ConnectionSettings {
  connectionId: string;
  kind: string;
  password: string;
  /** On whose behalf a run connects: nobody else is given a session that was theirs. Absent: no session is used again. */
  tenantId?: string;
  /**
   * Resolves and checks the host anew for each connection (src/ports/host-guard.ts). Connect to the addresses that it
   * gives, one after the other; the host is for TLS only. Absent: the host may be anything.
   */
  resolve?: (host: string) => Promise<readonly string[]>;
  /** Role taken by `set local role` in each transaction (granted destinations). */
  databaseRole?: string;
  /** Of the operator's connection, what the sync's tenant may touch through it; absent: everything. */
  granted?: GrantedTables;
  /** Ends every connection when it aborts, whatever it waits for. */
  signal?: AbortSignal;
}
