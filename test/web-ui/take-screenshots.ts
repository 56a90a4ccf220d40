/**
 * `npm run temporal-screenshots`: a stack with example runs, looked at in its Temporal Web UI with a real browser. Each page
 * must show what an operator is told to find there; then its picture is taken for docs/temporal-ui.md.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Route } from 'playwright-core';
import type { RunAnswer, RunHandle } from '../../src/client/index.ts';
import { startDevStack, type DevAddresses } from '../../src/dev/dev-stack.ts';
import { makeExampleRuns, makeFailedRun } from './example-runs.ts';
import { lookAtEncrypted } from './look-at-encrypted.ts';
import { untilShown, type Shown } from './until-shown.ts';

interface Look extends Shown {
  /** Of the picture. */
  readonly name: string;
  /** Below the namespace in the Web UI. */
  readonly path: string;
  /** Of a workflow's page; its first one by default. */
  readonly tab?: string;
  /** Pixels of the page that are left out above the picture. */
  readonly top?: number;
  /** Pixels of the picture. */
  readonly height: number;
}

const packageDir = fileURLToPath(new URL('../../', import.meta.url));
const pictures = join(packageDir, 'docs/temporal-ui');
const width = 1280;
/** Of the Web UI's menu and top bar, which are left out. */
const [menuWidth, barHeight] = [256, 48];

/** The columns of the list, as an operator would choose them there; the browser keeps them. */
const columns = ['Status', 'Sync', 'RunState', 'ErrorClass', 'Rows', 'Mode', 'Start', 'Workflow ID'];
const chooseColumns = `localStorage.setItem('namespace-workflow-table-columns',
  JSON.stringify({ default: ${JSON.stringify(columns.map((label) => ({ label })))} }))`;

const log = (line: string): void => void process.stdout.write(`${line}\n`);

const [browserFile] = process.argv.slice(2);
await mkdir(pictures, { recursive: true });
const browser = await chromium.launch({
  ...(browserFile !== undefined && { executablePath: browserFile }),
  // Chromium refuses to run as root with its sandbox.
  chromiumSandbox: process.getuid?.() !== 0,
});
try {
  await onStack({}, async (addresses) => {
    const looks = await describeLooks(await makeExampleRuns(addresses));
    await takePictures(addresses.temporalUiUrl, looks);
  });
  const temporalPayloadKey = `web-ui:${randomBytes(32).toString('base64')}`;
  await onStack({ temporalPayloadKey }, async (addresses) => {
    const failed = await (await makeFailedRun(addresses)).fetch();
    await lookAtEncrypted(browser, { addresses, failed, pictures });
    log('encrypted payloads: shown only where the browser is signed in');
  });
} finally {
  await browser.close();
}

async function onStack(
  options: { temporalPayloadKey?: string },
  look: (addresses: DevAddresses) => Promise<void>,
): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'penstock-web-ui-'));
  const stack = await startDevStack({ dataDir, log, echoLogs: false, options });
  try {
    log('making runs to look at …');
    await look(stack.addresses());
  } finally {
    await stack.stop();
    await rm(dataDir, { recursive: true });
  }
}

async function describeLooks(runs: Record<'copying' | 'paused' | 'failed', RunHandle>): Promise<Look[]> {
  const [copying, paused, failed] = await Promise.all([
    runs.copying.fetch(),
    runs.paused.fetch(),
    runs.failed.fetch(),
  ]);
  const { code, message, cure } = failed.error!;
  const at = (run: RunAnswer, tab: string) => ({
    path: `workflows/${encodeURIComponent(run.workflowId)}`,
    tab,
  });
  return [
    {
      name: 'list',
      path: `workflows?query=${encodeURIComponent('Tenant = "acme"')}`,
      shows: [
        /1–4\s+of 4/,
        'RunState',
        'ErrorClass',
        'orders',
        'running',
        'paused',
        'succeeded',
        code,
        '40000',
      ],
      height: 480,
    },
    {
      name: 'copying',
      ...at(copying, 'User Metadata'),
      shows: [
        'acme/orders · append · manual',
        'from connection acme-warehouse',
        /acme\/orders · copying · [\d,]+ rows · \d+ batches · .* MB · [\d,]+ rows\/s · \d of \d+ partitions · about \d+ min left/,
        /part +state +rows +batches +calls +last batch/,
        /1 +finished +[\d,]+ +\d+ +1 +\d\d-\d\d \d\d:\d\d/,
        / copying +0 +0 +1 +–/,
      ],
      links: [copying.links.self],
      height: 860,
    },
    {
      name: 'pending-activities',
      ...at(copying, 'Pending Activities'),
      shows: ['copyPartition', /"rowsPerSecond": \d+/, /"lastBatchAt": "\d{4}-/],
      height: 860,
    },
    {
      name: 'timeline',
      ...at(copying, 'Timeline'),
      shows: [/copyPartition • partition \d of \d+, from batch 1/],
      top: 560,
      height: 360,
    },
    {
      name: 'failed',
      ...at(failed, 'Timeline'),
      shows: [`"type": "${code}"`, message!, cure, `failed: ${code}`],
      height: 860,
    },
    {
      name: 'paused',
      ...at(paused, 'User Metadata'),
      shows: [/acme\/payments · paused · [\d,]+ rows/, /finished +[\d,]+/],
      links: [paused.links.self],
      height: 860,
    },
  ];
}

async function takePictures(uiUrl: string, looks: readonly Look[]): Promise<void> {
  const page = await browser.newPage();
  try {
    await page.route('**/api/**', hideFolders);
    await page.addInitScript({ content: chooseColumns });
    for (const look of looks) {
      const { top = 0, height } = look;
      await page.setViewportSize({ width, height: barHeight + top + height });
      await page.goto(`${uiUrl}/namespaces/default/${look.path}`);
      if (look.tab !== undefined) await page.getByRole('tab', { name: look.tab }).click();
      await untilShown(page, look);
      const clip = { x: menuWidth, y: barHeight + top, width: width - menuWidth, height };
      await page.screenshot({ path: join(pictures, `${look.name}.png`), animations: 'disabled', clip });
      log(`${look.name}: shows what it should`);
    }
  } finally {
    // Pages wait for news for up to a minute.
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    await page.close();
  }
}

/** Stack traces name this machine's folders. */
async function hideFolders(route: Route): Promise<void> {
  const response = await route.fetch();
  await route.fulfill({ response, body: (await response.text()).replaceAll(packageDir, '') });
}
