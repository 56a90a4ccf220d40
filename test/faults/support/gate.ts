/**
 * A process in slow motion: each call of a port waits until it is let go, fails, or the process dies. One that is never let
 * go belongs to a process that is frozen.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { PenstockError, type ErrorCode } from '../../../src/domain/errors.ts';

/** `unsent`: it fails and has no effect; `unanswered`: it fails and has had its effect. */
export type CallFate = 'done' | 'unsent' | 'unanswered';

export interface Gate {
  /** The same port; a call that fails does so with the code. */
  readonly wrap: <T extends object>(port: T, code: ErrorCode) => T;
  /** The names of the calls that wait, oldest first. */
  readonly waiting: () => readonly string[];
  /** Lets the oldest go; resolves when the process has done all that it can after it. */
  readonly letGo: (fate: CallFate) => Promise<void>;
  /** Resolves when the process waits for a call, or has nothing to do. */
  readonly settled: () => Promise<void>;
  /** Nothing that waits happens any more, nor what is called later; but for the oldest, if it is `sent`. */
  readonly kill: (how: 'sent' | 'unsent') => Promise<void>;
}

interface WaitingCall {
  readonly name: string;
  readonly code: ErrorCode;
  readonly doIt: () => Promise<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Nobody hears what a dead process says of it: as an outage it is not worth a line. */
const dead = (name: string): PenstockError => new PenstockError('UNAVAILABLE', `${name} after death`);

export function createGate(): Gate {
  let calls: WaitingCall[] = [];
  let isDead = false;
  const settle = async (call: WaitingCall, fate: CallFate): Promise<void> => {
    try {
      const result = fate === 'unsent' ? undefined : await call.doIt();
      if (fate !== 'done') throw new PenstockError(call.code, `${call.name} has no answer`);
      call.resolve(result);
    } catch (error) {
      call.reject(error);
    }
  };
  return {
    wrap: (port, code) =>
      new Proxy(port, {
        get(target, key, receiver) {
          const member: unknown = Reflect.get(target, key, receiver);
          if (typeof member !== 'function') return member;
          return (...args: unknown[]) =>
            new Promise((resolve, reject) => {
              const name = String(key);
              const doIt = (): Promise<unknown> => member.apply(target, args) as Promise<unknown>;
              if (isDead) reject(dead(name));
              else calls.push({ name, code, doIt, resolve, reject });
            });
        },
      }),
    waiting: () => calls.map(({ name }) => name),
    settled: () => turn(),
    async letGo(fate) {
      const call = calls.shift();
      if (call) await settle(call, fate);
      await turn();
    },
    async kill(how) {
      isDead = true;
      const [oldest] = calls;
      if (oldest && how === 'sent') await oldest.doIt().catch(() => {});
      for (const call of calls) call.reject(dead(call.name));
      calls = [];
      await turn();
    },
  };
}
