import { describeRedisTopologies } from '../../contract/redis-topologies.contract.ts';

describeRedisTopologies(async () => ({}));
