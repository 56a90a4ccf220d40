/** The two syncs of the demo, as a user would post them. */
import type { SyncSpecInput } from '../../domain/sync-spec.ts';

/** Every place, by hand, into a table that has no key of its own: each run would add them all again. */
export const citiesSync: SyncSpecInput = {
  name: 'cities',
  source: {
    connection: 'acme-warehouse',
    query:
      'select id, name, alt_name, country, feature_code, admin_code, population, longitude, latitude from city',
  },
  destination: { connection: 'app-db', table: 'public.acme_city' },
  mode: 'append',
  key: ['id'],
  schedule: { manual: true },
  limits: { batchRows: 20_000 },
};

/**
 * Every subscriber, then what changes, every five seconds.
 * @param rows of the table: batches are small enough that there is a middle to be killed in
 */
export const subscribersSync = (rows: number): SyncSpecInput => ({
  name: 'subscribers',
  source: { connection: 'acme-warehouse', query: 'select * from subscriber' },
  destination: { connection: 'app-db', table: 'public.acme_subscriber' },
  mode: 'upsert',
  key: ['id'],
  cursor: { column: 'updated_at' },
  schedule: { every: '5s' },
  limits: { batchRows: Math.max(1, Math.min(50_000, Math.floor(rows / 50))) },
});
