/** Sentinels, masters, replicas and nodes of a cluster that say nothing in plain text, and ask everybody for a certificate. */
import { describeRedisTopologies } from '../../contract/redis-topologies.contract.ts';
import { findRedisProgram } from '../../support/redis-programs.ts';

describeRedisTopologies(async () => ({ program: await findRedisProgram('redisWithTls'), tls: true }));
