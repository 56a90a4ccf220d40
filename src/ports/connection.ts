/** How to reach a tenant's or the operator's database: discrete fields only, because connection strings read files and set options. */
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
  /** What the host was resolved to and checked as: connect to it; the host is for TLS. */
  address?: string;
  /** Role taken by `set local role` in each transaction (granted destinations). */
  databaseRole?: string;
}
