/** What the demo uses of pg-copy-streams, which ships no types. */
declare module 'pg-copy-streams' {
  import type { Duplex, Readable, Writable } from 'node:stream';
  import type { Submittable } from 'pg';

  /** `COPY … TO STDOUT`: rows as they come. */
  export function to(sql: string): Readable & Submittable & { rowCount: number };
  /** `COPY … FROM STDIN`; finishes when the server has answered. */
  export function from(sql: string): Writable & Submittable & { rowCount: number };
  export function both(sql: string): Duplex & Submittable;
}
