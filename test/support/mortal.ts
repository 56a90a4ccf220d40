/** Kills a dispatcher between two of its steps: from one call of a port on, nothing that it asks for happens. */

export class Death extends Error {}

/** When a process dies: before the n-th call (from 1) happens, or after it happened and before its answer is used. */
export interface Fate {
  readonly call: number;
  readonly when: 'before' | 'after';
}

export interface Mortal {
  /** The same port, until death. */
  <T extends object>(port: T): T;
  /** The calls so far, by name. */
  readonly calls: readonly string[];
}

/** @param fate null: it never dies, and only counts */
export function createMortal(fate: Fate | null): Mortal {
  const calls: string[] = [];
  let isDead = false;
  const call = async (name: string, doIt: () => Promise<unknown>): Promise<unknown> => {
    if (isDead) throw new Death(`${name} after death`);
    calls.push(name);
    const isLast = fate !== null && calls.length === fate.call;
    if (isLast) isDead = true;
    if (isLast && fate.when === 'before') throw new Death(`before ${name}`);
    const result = await doIt();
    if (isDead) throw new Death(`after ${name}`);
    return result;
  };
  const wrap = <T extends object>(port: T): T =>
    new Proxy(port, {
      get(target, key, receiver) {
        const member: unknown = Reflect.get(target, key, receiver);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) =>
          call(String(key), () => member.apply(target, args) as Promise<unknown>);
      },
    });
  return Object.assign(wrap, { calls });
}
