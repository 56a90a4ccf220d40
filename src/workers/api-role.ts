/**
 * The role that answers HTTP. It listens at once, whatever else is away: probes see it live and not ready, and requests
 * that need the control database are answered UNAVAILABLE.
 */
import type { ApiApp } from '../api/api-app.ts';
import { createApiServer } from '../api/server.ts';
import type { RoleConfig } from '../config/load-config.ts';
import { PenstockError } from '../domain/errors.ts';
import type { HostGuard } from '../ports/host-guard.ts';
import type { ScheduleAnnouncer } from '../ports/schedule-index.ts';
import type { RedisIndex } from '../schedule/redis-index.ts';
import { createControlStore } from '../storage/control-store.ts';
import { fetchWorkerClasses } from '../storage/installation-state.ts';
import { createRunExplainer } from '../storage/run-explainer.ts';
import { createSecretBox } from '../storage/secret-box.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Adapters } from './adapters.ts';
import type { SharedParts } from './control-parts.ts';
import { createConnectionTester, createSyncDestination } from './database-access.ts';
import { createDependencyChecks } from './dependency-checks.ts';
import { fleetGauges, indexGauges, maintenanceGauges, runGauges } from './gauge-sources.ts';
import type { Service } from './lifecycle.ts';
import { packageVersion } from './package-version.ts';
import { createSyncExaminer } from './sync-examiner.ts';
import { connectClient } from './temporal/connect-client.ts';
import { createFleet } from './temporal/fleet.ts';
import { createPayloadTranslator } from './temporal/payload-translator.ts';
import { createRunStarter } from './temporal/run-starter.ts';
import { temporalAccessOf } from './temporal/temporal-access.ts';

interface ApiRoleOptions {
  config: RoleConfig;
  parts: SharedParts;
  adapters: Adapters;
  hostGuard: HostGuard;
  logger: Logger;
}

/** An API of this process; any number of processes may have one. */
export function createApiRole({ config, parts, adapters, hostGuard, logger }: ApiRoleOptions): Service {
  const temporal = connectClient(temporalAccessOf(config));
  const { pool } = parts;
  let app: ApiApp | undefined;
  /** Undefined until the control database, whose name its keys bear, has answered once. */
  let index: RedisIndex | undefined;
  const indexNow = (): RedisIndex => {
    if (!index) throw new PenstockError('UNAVAILABLE', 'the control database has not answered yet');
    return index;
  };

  const openIndex = async (stopping: AbortSignal): Promise<void> => {
    try {
      ({ index } = await parts.open(stopping));
    } catch (err) {
      if (!stopping.aborted) logger.error({ err }, 'api: works without the index');
    }
  };

  return {
    name: 'api',
    async start(stopping) {
      void openIndex(stopping);
      const secretBox = createSecretBox(config.masterKey);
      const starter = createRunStarter({ client: temporal, taskQueue: config.temporalTaskQueue });
      const fleet = createFleet(temporal, config.temporalTaskQueue, () => fetchWorkerClasses(pool));
      const access = { pool, secretBox, adapters };
      app = await createApiServer({
        store: createControlStore({
          pool,
          secretBox,
          logger,
          announcer: laterAnnouncer(indexNow),
          starter,
        }),
        tester: createConnectionTester(access),
        syncDestination: createSyncDestination(access),
        examiner: createSyncExaminer(access),
        explainer: createRunExplainer({
          pool,
          index: { explainRun: async (run) => indexNow().explainRun(run) },
          starter,
        }),
        hostGuard,
        fleet,
        gauges: [runGauges(pool), maintenanceGauges(pool), fleetGauges(fleet), indexGauges(indexNow)],
        payloads: createPayloadTranslator(config.temporalPayloadKey),
        checks: createDependencyChecks({ pool, checkIndex: async () => indexNow().check(), temporal }),
        logger,
        links: {
          publicUrl: config.publicUrl,
          temporalUiUrl: config.temporalUiUrl,
          temporalNamespace: config.temporalNamespace,
        },
        version: packageVersion,
      });
      logger.info({ url: await listen(app, config) }, 'api: listening');
    },
    async stop() {
      await app?.close();
      await temporal.connection.close();
    },
    isReady: () => app?.server.listening === true,
  };
}

async function listen(app: ApiApp, { apiHost: host, apiPort: port }: RoleConfig): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (cause) {
    const why = (cause as { code?: string }).code ?? 'unknown reason';
    throw new PenstockError('CONFIG', `apiHost and apiPort: cannot listen on ${host}:${port} (${why})`, {
      cause,
    });
  }
}

const laterAnnouncer = (index: () => ScheduleAnnouncer): ScheduleAnnouncer => ({
  publishDue: async (entries) => index().publishDue(entries),
  offerRuns: async (runs) => index().offerRuns(runs),
  releaseRuns: async (runIds) => index().releaseRuns(runIds),
  saveLimits: async (limits) => index().saveLimits(limits),
});
