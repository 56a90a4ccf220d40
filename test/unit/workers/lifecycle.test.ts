import { describe, expect, test } from '@jest/globals';
import { runServices, type Service } from '../../../src/workers/lifecycle.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';

const { logger } = createKeptLogger();

function service(name: string, order: string[], changes: Partial<Service> = {}): Service {
  return {
    name,
    start: async () => void order.push(`${name} starts`),
    stop: async () => void order.push(`${name} stops`),
    isReady: () => true,
    ...changes,
  };
}

/** Something that can be told from outside. */
function bell(): { rung: Promise<void>; ring: () => void } {
  let ring = () => {};
  const rung = new Promise<void>((resolve) => (ring = resolve));
  return { rung, ring };
}

describe('a process with several roles', () => {
  test('stops them one after the other, in the order given', async () => {
    const order: string[] = [];
    const { rung, ring } = bell();
    const slow = service('dispatcher', order, {
      stop: async () => {
        await Promise.resolve();
        order.push('dispatcher stops');
      },
    });
    const done = runServices([slow, service('worker', order), service('api', order)], logger, rung);
    ring();
    await done;
    expect(order.filter((line) => line.includes('stops'))).toEqual([
      'dispatcher stops',
      'worker stops',
      'api stops',
    ]);
  });

  test('ends although one of them still waits for its dependencies', async () => {
    const order: string[] = [];
    const { rung, ring } = bell();
    const stuck = service('worker', order, {
      start: (stopping) =>
        new Promise((_, reject) => stopping.addEventListener('abort', () => reject(new Error('told')))),
    });
    const done = runServices([stuck, service('api', order)], logger, rung);
    ring();
    await done;
    expect(order).toContain('api stops');
  });

  test('stops a role that is told to end while it starts after its start has ended', async () => {
    const order: string[] = [];
    const { rung, ring } = bell();
    const slow = service('worker', order, {
      start: async (stopping) => {
        ring();
        await new Promise((resolve) => stopping.addEventListener('abort', resolve));
        order.push('worker opens something all the same');
      },
    });
    await runServices([slow], logger, rung);
    expect(order).toEqual(['worker opens something all the same', 'worker stops']);
  });

  test('stops all of them and fails when one cannot work any longer', async () => {
    const order: string[] = [];
    const failed = Promise.reject(new Error('the engine broke'));
    failed.catch(() => undefined);
    const broken = service('worker', order, { failed });
    await expect(runServices([broken, service('api', order)], logger, new Promise(() => {}))).rejects.toThrow(
      'the engine broke',
    );
    expect(order).toContain('api stops');
  });

  test('stops the others also when one does not stop cleanly', async () => {
    const order: string[] = [];
    const { rung, ring } = bell();
    const unclean = service('worker', order, { stop: () => Promise.reject(new Error('no')) });
    const done = runServices([unclean, service('api', order)], logger, rung);
    ring();
    await done;
    expect(order).toContain('api stops');
  });

  test('is over at once when one refuses its configuration', async () => {
    const order: string[] = [];
    const refusing = service('worker', order, {
      start: () => Promise.reject(Object.assign(new Error('wrong'), { code: 'CONFIG' })),
    });
    await expect(
      runServices([refusing, service('api', order)], logger, new Promise(() => {})),
    ).rejects.toMatchObject({ code: 'CONFIG' });
  });
});
