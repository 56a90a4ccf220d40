/**
 * Finds what the destination refuses of a batch: whatever is refused is cut in two and tried again, until what is left
 * cannot be cut. What was taken stays taken. Where the destination says which unit it stumbled over, that one is tried by
 * itself instead, between what lies before and what lies behind it; once it was wrong it is not believed any more.
 *
 * k refused units of n cost at most about 2 k log2 n tries, and 3 k where the destination names them.
 */

/** Why some units were refused; `unit`: the one that the destination names, counted from the first of the batch. */
export interface Refused {
  readonly unit: number | null;
}

export interface Separation<R extends Refused> {
  /** A unit is what cannot be cut: the rows of one key. */
  readonly units: number;
  /** Why all of them together were refused. */
  readonly refused: R;
  /** Tries units [from, to), always in order and none twice once they were taken; null: taken, for good. */
  attempt(from: number, to: number): Promise<R | null>;
  /** The unit was refused by itself. What it throws ends the search. */
  reject(unit: number, refused: R): Promise<void>;
}

export async function separateRefused<R extends Refused>(search: Separation<R>): Promise<void> {
  let isBelieved = true;

  const cut = async (from: number, to: number, refused: R): Promise<void> => {
    if (to - from === 1) return search.reject(from, refused);
    const named = isBelieved && refused.unit !== null && from <= refused.unit && refused.unit < to;
    const at = named ? [refused.unit, refused.unit + 1] : [from + Math.ceil((to - from) / 2)];
    let start = from;
    for (const end of [...at, to]) {
      if (start === end) continue;
      const again = await search.attempt(start, end);
      if (again) await cut(start, end, again);
      else if (named && start === refused.unit) isBelieved = false;
      start = end;
    }
  };

  await cut(0, search.units, search.refused);
}
