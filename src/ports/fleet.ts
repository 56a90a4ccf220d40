/** Who works, and what waits for them, as the engine knows it. */

/** A process that polls. */
export interface FleetWorker {
  /** `<process id>@<host>`. */
  readonly identity: string;
  /** Of its code; null: it did not say. */
  readonly buildId: string | null;
  /** ISO 8601. Of its newest poll, which may last a minute. */
  readonly lastSeenAt: string;
  /** The queues that it polls. */
  readonly polls: FleetWork[];
}

/** `workflows` decide, `steps` are the short activities, `copies` the long ones. */
export const fleetWork = ['workflows', 'steps', 'copies'] as const;
export type FleetWork = (typeof fleetWork)[number];

export interface FleetQueue {
  /** The task queue's name. */
  readonly name: string;
  readonly work: FleetWork;
  /** Tasks that wait for a worker, about. */
  readonly backlog: number;
  /** How long the oldest of them has waited. */
  readonly backlogAgeMs: number;
}

export interface Fleet {
  /** @throws PenstockError ENGINE_UNREACHABLE */
  describe(): Promise<{ workers: FleetWorker[]; queues: FleetQueue[] }>;
}
