/** Starts servers again that end without being asked: whoever tries what a kill does sees all of it go on. */
import { describeExit } from './guard.ts';
import type { ServerHandle } from './server-process.ts';

interface Keeping {
  readonly log: (line: string) => void;
  /** Called when the pids have changed. */
  readonly onChange: () => void;
  /** Ends it; what ends from then on stays so. */
  readonly signal: AbortSignal;
}

/** Watches the servers. One that does not come up again is told of and left. */
export function keepServers(servers: Readonly<Record<string, ServerHandle>>, keeping: Keeping): void {
  for (const [name, server] of Object.entries(servers))
    keep(name, server, keeping).catch((error: unknown) => {
      if (!keeping.signal.aborted) keeping.log((error as Error).message);
    });
}

async function keep(name: string, server: ServerHandle, { log, onChange, signal }: Keeping): Promise<void> {
  for (;;) {
    const exit = await server.exited();
    if (signal.aborted) return;
    log(`${name} (${server.pid()}) ended ${describeExit(exit)}; starting it again`);
    await server.start();
    onChange();
  }
}
