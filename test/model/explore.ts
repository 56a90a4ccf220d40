/**
 * Breadth-first exploration of a model: every state that any interleaving of its steps can reach, each looked at once.
 * Finds the shortest way to a state that breaks an invariant, and states from which the work can no longer be done.
 */

/** A local name: inside a test runner’s context every look-up of a global costs more than the hash. */
const { imul } = Math;

export interface Step<S> {
  /** Who does what; the lines of a counter-example. */
  readonly label: string;
  readonly next: S;
}

export interface Model<S> {
  readonly initial: S;
  /** Everything that can happen next, one step each. */
  steps(state: S): readonly Step<S>[];
  /** The same number for states that behave alike, and for no others: made with `Fingerprint`. */
  fingerprint(state: S): number;
  /** What is wrong with a state; undefined when nothing is. */
  violation(state: S): string | undefined;
  /** Whether the work is done. From every state there must be a way to such a state. */
  isDone(state: S): boolean;
}

export interface Exploration {
  readonly states: number;
  readonly transitions: number;
  /** The longest shortest way, in steps. */
  readonly depth: number;
  /** The first violation met, so one with the fewest steps; `trace` leads there from the initial state. */
  readonly violation?: { readonly message: string; readonly trace: readonly string[] };
}

/**
 * A 53-bit hash of small integers (the mixing of cyrb53, public domain). Two of a million states share one with a
 * probability of 6e-5, and then a part of the graph would be missed; a false alarm cannot come of it.
 */
export class Fingerprint {
  private high = 0xdeadbeef;
  private low = 0x41c6ce57;

  add(value: number): this {
    this.high = imul(this.high ^ (value + 7), 2654435761);
    this.high ^= this.high >>> 15;
    this.low = imul(this.low ^ (value + 7), 1597334677);
    this.low ^= this.low >>> 13;
    return this;
  }

  /** Adds a list whose order means nothing. */
  addUnordered<T>(list: readonly T[], add: (print: Fingerprint, each: T) => Fingerprint): this {
    let high = 0;
    let low = 0;
    for (const each of list) {
      const print = add(new Fingerprint(), each);
      print.mix();
      high = (high + print.high) | 0;
      low = (low + print.low) | 0;
    }
    return this.add(list.length).add(high).add(low);
  }

  value(): number {
    this.mix();
    return 4294967296 * (2097151 & this.low) + (this.high >>> 0);
  }

  private mix(): void {
    const { high, low } = this;
    this.high = imul(high ^ (high >>> 16), 2246822507) ^ imul(low ^ (low >>> 13), 3266489909);
    this.low = imul(low ^ (low >>> 16), 2246822507) ^ imul(high ^ (high >>> 13), 3266489909);
  }
}

/** Numbers for fingerprints, in the order in which they come: an open-addressing table, much lighter than a Map. */
class Numbering {
  size = 0;
  private keys = new Float64Array(1 << 16);
  private values = new Int32Array(1 << 16);

  /** The key's number; the next one when it is new. */
  numberOf(key: number): number {
    if (this.size * 2 > this.keys.length) this.grow();
    const slot = this.slotOf(key);
    const known = this.values[slot] ?? 0;
    if (known > 0) return known - 1;
    this.keys[slot] = key;
    this.values[slot] = ++this.size;
    return this.size - 1;
  }

  /** Where the key is, or would be: 0 in `values` marks a free slot. */
  private slotOf(key: number): number {
    const mask = this.keys.length - 1;
    let slot = (key ^ (key / 4294967296)) & mask;
    while (this.values[slot] !== 0 && this.keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  private grow(): void {
    const { keys, values } = this;
    this.keys = new Float64Array(keys.length * 4);
    this.values = new Int32Array(keys.length * 4);
    for (let i = 0; i < keys.length; i++) {
      const value = values[i] ?? 0;
      if (value === 0) continue;
      const slot = this.slotOf(keys[i] ?? 0);
      this.keys[slot] = keys[i] ?? 0;
      this.values[slot] = value;
    }
  }
}

/** The graph as far as it is known: per state how it was first reached, and all edges for the way back. */
class Graph {
  readonly ids = new Numbering();
  readonly parents: number[] = [];
  readonly labels: string[] = [];
  readonly depths: number[] = [];
  readonly edges: number[] = [];

  /** The state's number; adds it when it is new. */
  visit(key: number, parent: number, label: string): { id: number; isNew: boolean } {
    const id = this.ids.numberOf(key);
    const isNew = id === this.parents.length;
    if (isNew) {
      this.parents.push(parent);
      this.labels.push(label);
      this.depths.push(parent < 0 ? 0 : (this.depths[parent] ?? 0) + 1);
    }
    if (parent >= 0) this.edges.push(parent, id);
    return { id, isNew };
  }

  traceTo(id: number): string[] {
    const trace: string[] = [];
    for (let at = id; at > 0; at = this.parents[at] ?? 0) trace.push(this.labels[at] ?? '');
    return trace.toReversed();
  }

  /** The state with the lowest number from which none of `goals` can be reached. */
  firstStuck(goals: readonly number[]): number | undefined {
    const { before, start } = this.predecessors();
    const reaches = new Uint8Array(this.ids.size);
    const queue = [...goals];
    for (const id of queue) reaches[id] = 1;
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
      for (let i = start[id] ?? 0; i < (start[id + 1] ?? 0); i++) {
        const from = before[i] ?? 0;
        if (reaches[from] === 0) {
          reaches[from] = 1;
          queue.push(from);
        }
      }
    }
    const stuck = reaches.indexOf(0);
    return stuck < 0 ? undefined : stuck;
  }

  /** The edges turned round: those into state `i` come from `before[start[i]]` up to `before[start[i + 1]]`, exclusive. */
  private predecessors(): { before: Int32Array; start: Int32Array } {
    const { edges } = this;
    const start = new Int32Array(this.ids.size + 1);
    for (let i = 1; i < edges.length; i += 2) start[(edges[i] ?? 0) + 1]! += 1;
    for (let id = 0; id < this.ids.size; id++) start[id + 1]! += start[id] ?? 0;
    const filled = start.slice();
    const before = new Int32Array(edges.length / 2);
    for (let i = 0; i < edges.length; i += 2) {
      const to = edges[i + 1] ?? 0;
      before[filled[to]!] = edges[i] ?? 0;
      filled[to]! += 1;
    }
    return { before, start };
  }
}

/** Visits every reachable state, or stops at the first violation. Throws beyond `maxStates`: the bounds are too wide. */
export function explore<S>(model: Model<S>, maxStates = 2_000_000): Exploration {
  const graph = new Graph();
  const goals: number[] = [];
  let frontier: { id: number; state: S }[] = [];
  const result = (broken?: { message: string; id: number }): Exploration => ({
    states: graph.ids.size,
    transitions: graph.edges.length / 2,
    depth: graph.depths.at(-1) ?? 0,
    ...(broken && { violation: { message: broken.message, trace: graph.traceTo(broken.id) } }),
  });

  const meet = (state: S, parent: number, label: string): { message: string; id: number } | undefined => {
    const { id, isNew } = graph.visit(model.fingerprint(state), parent, label);
    if (!isNew) return undefined;
    if (id >= maxStates) throw new Error(`more than ${maxStates} states: narrow the model's bounds`);
    const message = model.violation(state);
    if (message !== undefined) return { message, id };
    if (model.isDone(state)) goals.push(id);
    frontier.push({ id, state });
    return undefined;
  };

  const broken = meet(model.initial, -1, '');
  if (broken) return result(broken);
  while (frontier.length > 0) {
    const level = frontier;
    frontier = [];
    for (const { id, state } of level) {
      for (const step of model.steps(state)) {
        const found = meet(step.next, id, step.label);
        if (found) return result(found);
      }
    }
  }
  const stuck = graph.firstStuck(goals);
  return stuck === undefined ? result() : result({ message: 'the work can never be done', id: stuck });
}
