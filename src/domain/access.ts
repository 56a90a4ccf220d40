/** What an API key may do. A key belongs to one tenant, or to the operator of the installation (every tenant). */

/** Each role may do what the ones before it may. */
export const apiKeyRoles = ['viewer', 'operator', 'editor', 'admin'] as const;
export type ApiKeyRole = (typeof apiKeyRoles)[number];

/** Whether a role covers another. */
export const covers = (role: ApiKeyRole, needed: ApiKeyRole): boolean =>
  apiKeyRoles.indexOf(role) >= apiKeyRoles.indexOf(needed);
