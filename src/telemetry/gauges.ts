/** Gauges whose values somebody else knows: asked for when the metrics are read, not more often than once in a while. */
import { Gauge, type Registry } from 'prom-client';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Families that one question answers. Names and labels are fixed: never an id or a tenant. */
export interface GaugeSource {
  /** Help by name, each with its labels. */
  readonly families: Readonly<Record<string, { help: string; labels: readonly string[] }>>;
  /** Samples by name. While it fails, the families have none. */
  readonly read: () => Promise<Readonly<Record<string, readonly Sample[]>>>;
}

/** Metrics are open to anybody who reaches the port: reading them must not be a way to load what is asked. */
const keptMs = 5_000;
const answerMs = 3_000;

/** Adds the source's families to the registry. */
export function addGauges(registry: Registry, { families, read }: GaugeSource): void {
  let asked: { atMs: number; samples: ReturnType<GaugeSource['read']> } | undefined;
  let isBusy = false;
  const ask = () => {
    isBusy = true;
    const answer = read().finally(() => {
      isBusy = false;
    });
    return { atMs: performance.now(), samples: inTime(answer).catch(() => ({})) };
  };
  const samples = () => {
    // One that is late is still at work: a second one beside it would make both later.
    if (!asked || (!isBusy && performance.now() - asked.atMs > keptMs)) asked = ask();
    return asked.samples;
  };
  for (const [name, { help, labels }] of Object.entries(families)) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames: [...labels],
      registers: [registry],
      collect: async () => {
        const found = (await samples())[name] ?? [];
        gauge.reset();
        // One without labels would be 0 now, which is an answer.
        if (labels.length === 0) gauge.remove();
        for (const { labels, value } of found) gauge.set(labels, value);
      },
    });
  }
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), answerMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
