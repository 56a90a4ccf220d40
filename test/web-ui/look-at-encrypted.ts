/**
 * The way to encrypted payloads that docs/temporal.md describes, walked by a real browser: the pages of the Web UI show them
 * sealed until the browser has signed in at our codec endpoint and the Web UI is told to ask it. Nothing between the two is
 * intercepted, so that the browser asks and refuses as it does for operators.
 */
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import type { RunAnswer } from '../../src/client/index.ts';
import type { DevAddresses } from '../../src/dev/dev-stack.ts';
import { textOf, untilShown } from './until-shown.ts';

interface Encrypted {
  readonly addresses: DevAddresses;
  /** A run whose failure, like all of its payloads, is encrypted. */
  readonly failed: RunAnswer;
  /** The folder for `encrypted.png` and `codec-server.png`. */
  readonly pictures: string;
}

/** @throws Error when a page shows what it should not, or not what it should */
export async function lookAtEncrypted(
  browser: Browser,
  { addresses: { apiUrl, apiKey }, failed, pictures }: Encrypted,
): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const readable = ['"localSteps": true', failed.error!.message!, failed.error!.cure];
  try {
    await page.goto(failed.links.temporal!);
    await untilShown(page, { shows: ['Encoded failure'] });
    const shown = await textOf(page);
    for (const text of readable)
      if (shown.includes(text)) throw new Error(`without the codec the page shows ${text}`);
    await page.screenshot({
      path: join(pictures, 'encrypted.png'),
      animations: 'disabled',
      clip: { x: 256, y: 348, width: 1024, height: 400 },
    });

    await page.goto(`${apiUrl}/v1/codec/sign-in`);
    await page.getByLabel('API key').fill(apiKey);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await untilShown(page, { shows: ['This browser is signed in'] });

    await page.goto(failed.links.temporal!);
    await page.getByRole('button', { name: 'Configure Codec Server' }).click();
    await page.getByText('Use my browser setting').click();
    await page.getByLabel('Codec Server browser endpoint').fill(`${apiUrl}/v1/codec`);
    await page.getByText('Include cross-origin credentials').click();
    await page.getByRole('dialog').screenshot({ path: join(pictures, 'codec-server.png') });
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.reload();
    await untilShown(page, { shows: readable });
    await page.getByRole('tab', { name: 'User Metadata' }).click();
    await untilShown(page, { shows: ['acme/invoices · append · manual', 'from connection acme-warehouse'] });
  } finally {
    await page.close();
  }
}
