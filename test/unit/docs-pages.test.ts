import { readdirSync, readFileSync, statSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { syncSpecPage } from '../../src/api/sync-spec-page.ts';
import { commandTable } from '../../src/cli/command-table.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { keptDays } from '../../src/domain/retention.ts';
import { invariants } from '../../src/domain/maintenance.ts';
import { configurationPage } from '../../src/config/describe-options.ts';

const pageOf = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
/** As prettier may have padded its tables. */
const squeezed = (text: string): string => text.replaceAll(/ *\| */g, '|').replaceAll(/-{3,}/g, '---');

describe('docs', () => {
  test.each([
    ['configuration.md', 'the table of options', configurationPage],
    ['sync-spec.md', 'the schema of the sync spec', syncSpecPage],
  ])('%s is what %s says', (name, _, page) => {
    const [written, wanted] = [pageOf(name), page()];
    if (squeezed(written) !== squeezed(wanted)) process.stdout.write(`docs/${name} should be:\n${wanted}\n`);
    expect(squeezed(written)).toBe(squeezed(wanted));
  });

  test('maintenance.md has the days that things are kept, and every invariant', () => {
    const page = squeezed(pageOf('maintenance.md'));
    const days = [...page.matchAll(/^\|[^|]+\|(\d+)\|$/gm)].map(([, count]) => Number(count));
    expect(new Set(days)).toEqual(new Set<number>(Object.values(keptDays)));
    for (const name of invariants) expect(page).toContain(`|\`${name}\`|`);
  });

  test('temporal.md says how many events the recorded runs of each shape have, and a plain one has fewer than 60', () => {
    const folder = new URL('../replay/histories/0.1.0/', import.meta.url);
    const page = squeezed(pageOf('temporal.md'));
    for (const shape of ['success', 'two-partitions', 'yield', 'retry', 'pause', 'cancel', 'failure']) {
      const { events } = JSON.parse(readFileSync(new URL(`${shape}.json`, folder), 'utf8')) as {
        events: unknown[];
      };
      expect(page).toMatch(new RegExp(`\\|\`${shape}\`\\|[^|]+\\|${events.length}\\|`));
      expect(events.length).toBeLessThan(60);
    }
  });

  test('temporal-ui.md shows every picture that is kept, and each is small', () => {
    const folder = new URL('../../docs/temporal-ui/', import.meta.url);
    const shown = [...pageOf('temporal-ui.md').matchAll(/\(temporal-ui\/(.+?)\)/g)].map(([, file]) => file);
    expect(new Set(readdirSync(folder))).toEqual(new Set(shown));
    for (const file of readdirSync(folder))
      expect(statSync(new URL(file, folder)).size).toBeLessThan(150_000);
  });

  test('command-line.md names every command and every exit code', () => {
    const page = squeezed(pageOf('command-line.md'));
    for (const name of Object.keys(commandTable)) expect(page).toMatch(new RegExp(`\\|\`${name}\\b`));
    for (const code of Object.values(exitCodes)) expect(page).toContain(`|${code}|`);
  });
});
