import { redisTopologies } from '../../contract/redis-topologies.contract.ts';

redisTopologies(async () => ({}));
