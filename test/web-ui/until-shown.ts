/** What a page of the Web UI must show, with all of its frames: what we write is shown in frames of its own. */
import type { Page } from 'playwright-core';
import { waitUntil } from '../support/wait-until.ts';

export interface Shown {
  /** Texts that must be seen. */
  readonly shows: readonly (string | RegExp)[];
  /** Addresses that must be linked. */
  readonly links?: readonly string[];
}

/** @throws Error that names what the page lacks, once it has lacked it for long */
export const untilShown = (page: Page, shown: Shown): Promise<void> =>
  waitUntil(`${page.url()} shows what it should`, () => showsAll(page, shown));

/** What is seen of the page. */
export const textOf = async (page: Page): Promise<string> =>
  (await Promise.all(bodiesOf(page).map((body) => body.innerText()))).join('\n');

const bodiesOf = (page: Page) => page.frames().map((frame) => frame.locator('body'));

async function showsAll(page: Page, { shows, links = [] }: Shown): Promise<boolean> {
  const seen = await textOf(page);
  const linked = await Promise.all(
    bodiesOf(page).map((body) =>
      body.locator('a').evaluateAll((all) => all.map((a) => a.getAttribute('href'))),
    ),
  );
  const lacking = [
    ...shows.filter((text) => (typeof text === 'string' ? !seen.includes(text) : !text.test(seen))),
    ...links.filter((link) => !linked.flat().includes(link)),
  ];
  if (lacking.length > 0)
    throw new Error(`it lacks ${lacking.map(String).join(' and ')}; it shows:\n${seen}`);
  return true;
}
