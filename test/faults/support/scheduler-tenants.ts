/** The tenants of the scheduler's world: each is bounded by something else, and all by fewer places than they could fill. */
import { newId, type TenantId } from '../../../src/domain/ids.ts';
import type { ControlStore } from '../../../src/ports/control-store.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import { aConnection } from '../../support/control-fixture.ts';

export type TenantScope = Scope & { tenantId: TenantId };

/** Places in all. */
export const globalCap = 3;

/** `cap`: how many runs each may have at work, by its own limit or its source's. */
export const boundTenants: readonly {
  readonly name: string;
  readonly maxRuns: number;
  readonly connection: { readonly maxRuns: number; readonly startsPerMinute?: number };
  readonly cap: number;
}[] = [
  { name: 'acme', maxRuns: 2, connection: { maxRuns: 10 }, cap: 2 },
  { name: 'globex', maxRuns: 10, connection: { maxRuns: 1, startsPerMinute: 4 }, cap: 1 },
  { name: 'initech', maxRuns: 10, connection: { maxRuns: 2 }, cap: 2 },
];

/** Each with a connection that its syncs read from and write to. */
export async function addTenants(store: ControlStore): Promise<TenantScope[]> {
  const operator: Scope = { tenantId: null, apiKeyId: newId('apiKey') };
  const scopes: TenantScope[] = [];
  for (const { name, maxRuns, connection } of boundTenants) {
    const { id } = await store.tenants.create(operator, { name, weight: 1, maxRuns });
    const scope = { tenantId: id, apiKeyId: newId('apiKey') };
    await store.connections.create(scope, aConnection(connection));
    scopes.push(scope);
  }
  return scopes;
}
