/** What the demo writes: bars where they can be redrawn, lines where a file or a pipe keeps them. */
import { describe, expect, test } from '@jest/globals';
import { showProgress } from '../../src/dev/demo/progress.ts';

function record(isTTY: boolean, columns = 120) {
  const written: string[] = [];
  const write = (text: string | Uint8Array) => {
    written.push(String(text));
    return true;
  };
  return { progress: showProgress({ isTTY, columns, write }), text: () => written.join('') };
}

describe('the progress of the demo', () => {
  test('redraws one line on a terminal and ends it once', () => {
    const { progress, text } = record(true);
    const step = progress.begin('copying');
    step.move(1, 2, '500 rows');
    step.end('1,000 rows');
    expect(text()).toContain(`copying ${'█'.repeat(12)}${'░'.repeat(12)} 500 rows`);
    expect(text().match(/\n/g)).toHaveLength(1);
    expect(text()).toMatch(/✓ copying: 1,000 rows \(\d+\.\d s\)\n$/);
  });

  test('writes plain lines elsewhere, without control characters', () => {
    const { progress, text } = record(false);
    progress.say('hello');
    const step = progress.begin('copying');
    for (let i = 0; i < 100; i++) step.move(i, 100);
    step.end('done');
    expect(text()).toMatch(/^hello\ncopying …\ncopying: done \(\d+\.\d s\)\n$/);
  });

  test('cuts what would wrap, since a wrapped line cannot be redrawn, but not the outcome', () => {
    const { progress, text } = record(true, 20);
    const step = progress.begin('a label that is longer than the terminal is wide');
    step.move(1, 2, 'with a note');
    for (const drawn of text().split('\r\x1b[2K')) expect(drawn.length).toBeLessThan(20);
    step.end('the outcome is shown whole');
    expect(text()).toContain('wide: the outcome is shown whole');
  });

  test('keeps a bar inside its width when more is done than was expected, or nothing was', () => {
    const { progress, text } = record(true);
    const step = progress.begin('copying');
    step.move(3, 2);
    step.move(0, 0);
    expect(text()).toContain(`${'█'.repeat(24)} `);
    expect(text()).toContain(`${'░'.repeat(24)} `);
  });
});
