/**
 * The kinds of databases that connections lead to. Each has an adapter for what it serves as
 * (`src/workers/start-roles.ts`).
 */

export interface ConnectionKindFacts {
  readonly asSource: boolean;
  readonly asDestination: boolean;
  readonly defaultPort: number;
}

export const connectionKinds = {
  postgres: { asSource: true, asDestination: true, defaultPort: 5432 },
} as const satisfies Readonly<Record<string, ConnectionKindFacts>>;

type Kinds = typeof connectionKinds;
export type ConnectionKind = keyof Kinds;
/** Those that serve as one end. */
export type KindsServing<End extends 'asSource' | 'asDestination'> = {
  [Kind in ConnectionKind]: Kinds[Kind][End] extends true ? Kind : never;
}[ConnectionKind];

export const connectionKindNames = Object.keys(connectionKinds) as readonly ConnectionKind[];

/** Also of a kind that a later version has stored: nothing is known of it, so it serves as nothing. */
export const servesAs = (kind: string, end: 'asSource' | 'asDestination'): boolean =>
  Object.hasOwn(connectionKinds, kind) && connectionKinds[kind as ConnectionKind][end];
