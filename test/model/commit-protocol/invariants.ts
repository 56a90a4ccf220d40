/** What must hold in every state that is reached. What only a step can see, it notes in `state.broken` itself. */
import type { Config, Load, State } from './state.ts';

/** The model's last word: the first invariant that a state breaks. */
export function violationOf(config: Config, state: State): string | undefined {
  return state.broken ?? brokenChain(state) ?? brokenCut(config, state) ?? brokenRows(config, state);
}

/** Checkpoints are 1..n, chained, with at most one final, the last. */
function brokenChain(state: State): string | undefined {
  for (const load of state.db.loads) {
    for (const list of load?.checkpoints ?? []) {
      const isChained = list.every((each, i) => each.no === i + 1 && each.lo === (list[i - 1]?.hi ?? 0));
      if (!isChained) return 'checkpoints are not 1..n and chained';
      if (list.slice(0, -1).some((each) => each.final)) return 'a checkpoint follows the final one';
    }
  }
  return undefined;
}

/** The newest key_hi is less than the key of every row that its partition has not committed yet. */
function brokenCut(config: Config, state: State): string | undefined {
  if (!config.scenario.resumable) return undefined;
  for (const load of state.db.loads) {
    for (const [part, list] of (load?.checkpoints ?? []).entries()) {
      const newest = list.at(-1);
      if (!load || !newest) continue;
      const sum = list.reduce((rows, each) => rows + each.rows, 0);
      if (sum !== rowsUpTo(config, load, part, newest.hi))
        return 'a row at or below key_hi is not counted, or twice';
    }
  }
  return undefined;
}

const rowsUpTo = (config: Config, load: Load, part: number, hi: number): number =>
  config.scenario.rows.filter(
    (row) => row.part === part && row.cursor > load.low && row.cursor <= load.high && row.key <= hi,
  ).length;

/** Append: no row twice; every row that the cursor has passed is there. */
function brokenRows(config: Config, state: State): string | undefined {
  if (state.db.copies.some((count) => count > 1)) return 'a row is there twice';
  const isEmptied = state.db.table > 1;
  const isMissing = config.scenario.rows.some(
    (row, i) => row.cursor > 0 && row.cursor <= state.db.cursor && state.db.copies[i] === 0,
  );
  return isMissing && !isEmptied ? 'the cursor has passed a row that is not there' : undefined;
}

/** The last run is closed and everything that it saw is there, once. */
export function isDone(config: Config, state: State): boolean {
  const last = state.workflows.at(-1);
  if (last?.stage !== 'closed') return false;
  const { faults, highs, rows } = config.scenario;
  if (faults.recreate || faults.swallow || faults.drift || new Set(config.scenario.plans).size > 1)
    return true;
  const high = highs.at(-1) ?? 0;
  return last.wanted === 'succeeded' && rows.every((row, i) => row.cursor > high || state.db.copies[i] === 1);
}
