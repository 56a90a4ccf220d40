/**
 * What every role is: something that starts, says whether it is ready, and stops in good order. A process runs one or
 * several of them; SIGTERM or SIGINT stops them in the order given, so that nothing is admitted while work is drained.
 */
import { once } from 'node:events';
import type { Logger } from '../telemetry/logger.ts';

export interface Service {
  readonly name: string;
  /**
   * Resolves when it works; waits for dependencies that are away, until it is told to stop. Only a defect or CONFIG
   * rejects, or that stop.
   */
  start(stopping: AbortSignal): Promise<void>;
  /** Finishes what is in hand. Called once, after `start` has settled, whatever became of it. */
  stop(): Promise<void>;
  /** Rejects when it can work no longer and the process should be started again. */
  readonly failed?: Promise<never>;
  isReady(): boolean;
}

/**
 * Runs the services until the process is told to end, then stops them one after the other. One that waits for its
 * dependencies keeps no other from working, and nothing keeps the process from ending.
 */
export async function runServices(
  services: readonly Service[],
  logger: Logger,
  told: Promise<unknown> = untilSignal(),
): Promise<void> {
  const trouble = services.flatMap((service) => (service.failed ? [service.failed] : []));
  const stopping = new AbortController();
  const starts = services.map(async (service) => {
    await service.start(stopping.signal);
    logger.info(`${service.name}: started`);
  });
  try {
    await Promise.race([told, ...trouble, Promise.all(starts).then(() => Promise.race([told, ...trouble]))]);
  } finally {
    stopping.abort();
    for (const [index, service] of services.entries()) {
      // What a start still under way opens after its stop, nobody would close.
      await Promise.allSettled([starts[index]]);
      await stopService(service, logger);
    }
    logger.info('stopped');
  }
}

async function stopService(service: Service, logger: Logger): Promise<void> {
  logger.info(`${service.name}: stopping`);
  await service
    .stop()
    .catch((err: unknown) => logger.error({ err }, `${service.name}: did not stop cleanly`));
}

/** The first of both signals; a second one ends the process at once, as its sender wants. */
async function untilSignal(): Promise<void> {
  const signals = ['SIGTERM', 'SIGINT'] as const;
  await Promise.race(signals.map((signal) => once(process, signal)));
  for (const signal of signals) process.once(signal, () => process.exit(1));
}
