/** What the API stands on: ports, built by the composition root. */
import type { ConnectionTester } from '../ports/connection-tester.ts';
import type { SyncDestination } from '../ports/sync-destination.ts';
import type { ControlStore } from '../ports/control-store.ts';
import type { DependencyCheck } from '../ports/dependency-check.ts';
import type { Fleet } from '../ports/fleet.ts';
import type { HostGuard } from '../ports/host-guard.ts';
import type { PayloadTranslator } from '../ports/payload-translator.ts';
import type { RunExplainer } from '../ports/run-explainer.ts';
import type { SyncExaminer } from '../ports/sync-examiner.ts';
import type { GaugeSource } from '../telemetry/gauges.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface ApiDeps {
  readonly store: ControlStore;
  readonly tester: ConnectionTester;
  readonly syncDestination: SyncDestination;
  readonly examiner: SyncExaminer;
  readonly explainer: RunExplainer;
  readonly hostGuard: HostGuard;
  readonly fleet: Fleet;
  /** For the codec endpoint. */
  readonly payloads: PayloadTranslator;
  /** For /metrics, beside the requests. */
  readonly gauges: readonly GaugeSource[];
  /** For /readyz. */
  readonly checks: readonly DependencyCheck[];
  readonly logger: Logger;
  readonly links: {
    /** Where users reach the API; without it links are relative. */
    readonly publicUrl?: string | undefined;
    /** Without it runs have no link to the Temporal Web UI. */
    readonly temporalUiUrl?: string | undefined;
    readonly temporalNamespace: string;
  };
  /** Of the package. */
  readonly version: string;
}
