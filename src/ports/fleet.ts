/** Who works, and what waits for them, as the engine knows it. */

/** A process that polls. */
export interface FleetWorker {
  /** `<process id>@<host>`. */
  readonly identity: string;
  /** Of its code; null: it did not say. */
  readonly buildId: string | null;
  /** ISO 8601. Of its newest poll, which may last a minute. */
  readonly lastSeenAt: string;
  /** Whose runs it takes; null: the common ones. */
  readonly workerClass: string | null;
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
  /** Of the runs whose tasks it holds; null: the common ones, and the workflows of all. */
  readonly workerClass: string | null;
  /** Tasks that wait for a worker, about. */
  readonly backlog: number;
  /** How long the oldest of them has waited. */
  readonly backlogAgeMs: number;
}

export interface Fleet {
  /** Of the common workers, and of every class that a connection names. ENGINE_UNREACHABLE, UNAVAILABLE. */
  describe(): Promise<{ workers: FleetWorker[]; queues: FleetQueue[] }>;
}
