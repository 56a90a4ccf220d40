/** Sentinels, masters, replicas and nodes of a cluster that say nothing in plain text, and ask everybody for a certificate. */
import { redisTopologies } from '../../contract/redis-topologies.contract.ts';
import { findRedisProgram } from '../../support/redis-programs.ts';

redisTopologies(async () => ({ program: await findRedisProgram('redisWithTls'), tls: true }));
