/** Append: rows go straight into the target, and every one of them is new. */
import { qualifiedName } from '../target-name.ts';
import type { Mode, Route, Writing } from './mode.ts';

export const append: Mode = {
  onlyAdds: true,
  keyed: false,
  route: straight,
};

/** Rows go into the target itself. */
export function straight({ load }: Writing): Route {
  return {
    into: qualifiedName(load.plan.target),
    apply: (rows) => Promise.resolve({ inserted: rows, updated: 0, unchanged: 0, deduplicated: 0 }),
    otherwise: () => null,
  };
}
