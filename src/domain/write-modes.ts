/**
 * The modes of writing, as whoever checks, plans or tells of a sync has to know them. How each is done is a file of its own
 * beside `src/destinations/postgres/modes/mode.ts`; nobody else asks for a mode by its name.
 */

export interface WriteMode {
  /**
   * It never takes back a row. So several syncs may write one table, nothing may be read twice, and a load with committed
   * rows whose plan has changed is the user's to decide about. Any other mode owns its rows of the table alone, abandons
   * such a load and reads again.
   */
  readonly onlyAdds: boolean;
  /** Rows are found again by their key: there is one, without NULLs, and the target has one row of each, by a unique index. */
  readonly keyed: boolean;
  /** Rows may say that their key is gone (`deletedWhen`). */
  readonly takesTombstones: boolean;
  /** What becomes of the target's rows that the result has not. Where they are not kept, every load reads the whole result. */
  readonly absentRows: 'kept' | 'deleted' | 'replaced';
}

export const writeModes = {
  append: { onlyAdds: true, keyed: false, takesTombstones: false, absentRows: 'kept' },
  upsert: { onlyAdds: false, keyed: true, takesTombstones: true, absentRows: 'kept' },
  mirror: { onlyAdds: false, keyed: true, takesTombstones: false, absentRows: 'deleted' },
  replace: { onlyAdds: false, keyed: false, takesTombstones: false, absentRows: 'replaced' },
} as const satisfies Readonly<Record<string, WriteMode>>;

export type WriteModeName = keyof typeof writeModes;

export const writeModeNames = Object.keys(writeModes) as readonly WriteModeName[];
