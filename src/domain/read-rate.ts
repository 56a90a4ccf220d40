/**
 * How fast a connection may be read. Its limit is divided among the attempts that read from it, wherever they run, and what
 * they hold never exceeds it together: nobody is given what another may still be using. A share is a lease: it lapses unless it
 * is renewed, for whoever holds it and for those who divide the limit.
 */

/** Rows, and bytes of rows as COPY encodes them, a second; null: any number. */
export interface ReadRate {
  readonly rowsPerSecond: number | null;
  readonly bytesPerSecond: number | null;
}

/** What the other attempts hold that are known to read from the connection. */
export interface HeldShares {
  readonly attempts: number;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** How long a share holds after it was asked for. As long as Temporal waits for a worker's heartbeat. */
export const shareLastsMs = 15_000;

/** An equal part of the limit, or what the others leave of it so far: nothing, until they have given some up. */
export function shareOf(limit: ReadRate, others: HeldShares): ReadRate {
  const part = (whole: number | null, held: number): number | null =>
    whole === null ? null : Math.max(0, Math.min(whole / (others.attempts + 1), whole - held));
  return {
    rowsPerSecond: part(limit.rowsPerSecond, others.rowsPerSecond),
    bytesPerSecond: part(limit.bytesPerSecond, others.bytesPerSecond),
  };
}

/** `1,000 rows and 4,096 bytes a second` */
export function describeRate({ rowsPerSecond, bytesPerSecond }: ReadRate): string {
  const told = (count: number | null, of: string) =>
    count === null ? [] : [`${count.toLocaleString('en-US')} ${of}`];
  return `${[...told(rowsPerSecond, 'rows'), ...told(bytesPerSecond, 'bytes')].join(' and ')} a second`;
}
