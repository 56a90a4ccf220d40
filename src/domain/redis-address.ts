/** Where Redis is and how it is entered: what PENSTOCK_REDIS_URL says (src/config/redis-url.ts). */

export interface RedisAddress {
  /** `sentinel`: the nodes are Sentinels, which know the master. `cluster`: they are some of its nodes. */
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** Of `single` one. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** What the Sentinels call the master; of `sentinel` only. */
  readonly master?: string;
  readonly database: number;
  readonly login: RedisLogin;
  /** Of the Sentinels themselves, which often want none. */
  readonly sentinelLogin: RedisLogin;
  /** Absent: without TLS. */
  readonly tls?: RedisTls;
}

interface RedisLogin {
  readonly username?: string;
  readonly password?: string;
}

/** In the words of Node's TLS; certificates and keys as PEM. */
interface RedisTls {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}
