/**
 * What the pipe needs of a database that is read from. Rows travel as bytes: whole rows in one of COPY's two formats,
 * so that nothing is converted on the way. An adapter classifies its own errors (SOURCE_*, QUERY_NOT_ALLOWED …).
 */
import type { ColumnMapping } from '../domain/column-mapping-spec.ts';
import type { ComparedRows, SourceRows } from './comparison.ts';
import type { ConnectionAccess } from './connection.ts';

/** One column of the result, named and typed by the source. */
export interface ResultColumn {
  name: string;
  /**
   * The PostgreSQL type in whose form the value comes, by its object id in `pg_type`: that of the same type where the source
   * has one of its own (a domain counts as its base type), and 25, text, where no type of PostgreSQL's fits.
   */
  typeOid: number;
  /** As SQL writes it, with its modifier: `numeric(10,2)`, `timestamp with time zone`, `integer[]`. */
  typeName: string;
}

/** A column as it arrives, made of one of the query's. */
export interface MappedColumn {
  name: string;
  /** In the query. */
  from: string;
  /** Converted to this type by the source. */
  cast?: string;
  /** The SHA-256 of its text in UTF-8, in hex. */
  hash?: true;
}

/** What can be known of a query without running it. */
export interface QueryProbe {
  /** As they arrive: mapped, if the spec maps any. */
  columns: readonly ResultColumn[];
  /** How they are made of the query's; absent: they are the query's. */
  mapping?: readonly MappedColumn[];
  /** Which database this is, so that a cursor is never applied to another one. */
  identity: string;
  /**
   * Whether the query can be continued after a key. `uniqueKey`: no two rows of the result can share a key. `keyFlaw`: why
   * rows cannot be told apart by the key either, if that is so; otherwise it is only the query that may differ next time.
   */
  resumable:
    | { possible: true; uniqueKey: boolean }
    | { possible: false; reason: string; uniqueKey: boolean; keyFlaw: string | null };
  /** Not proven that no key column of the result is NULL. */
  keyMayBeNull: boolean;
  /** The source's clock, as text: what {{run_time}} stands for in a load that is opened now. */
  now: string;
  estimatedRows: number | null;
  /** The source must sort the whole result to deliver it in key order. */
  sortsForKey: boolean;
  /** How the source will read it, and how it can encode its rows: text at least. */
  reader: ReadRequest['reader'];
  formats: readonly RowFormat[];
}

/** The window (low, high] of an incremental load, as the source writes the values; null low is "from the beginning". */
export interface CursorWindow {
  low: string | null;
  high: string | null;
  /** Rows at or below `low` that are read once more, as no load could write them. Only where there is a `low`. */
  again?: readonly KeyAgain[];
}

/** The rows of a key whose cursor lies above `low`; null is any. */
export interface KeyAgain {
  /** By column, as source text. */
  key: Readonly<Record<string, string | null>>;
  low: string | null;
}

/** The incremental part of a plan. */
export interface PlannedCursor {
  column: string;
  /** Rows this much below `low` are read again (upsert only). */
  lookbackMs: number;
  /** How long to wait for transactions that were in progress when `high` was taken. */
  lagMs: number;
  /** What becomes of rows whose cursor is NULL: read by every load (upsert), or the load is refused (append). */
  nulls: 'read' | 'refuse';
}

/** The key of a row, as the source writes its values; a NULL only where a partition reads such keys. */
export type KeyText = readonly (string | null)[];

/**
 * Which rows a partition holds: those whose first key column lies in (after, upTo], absent is without limit. Rows with a
 * NULL in their key are left to another partition (`none`), or are all that it holds (`only`); absent, they are its rows
 * like any other, and refused.
 */
export interface PartitionBounds {
  after?: string;
  upTo?: string;
  nulls?: 'none' | 'only';
}

/**
 * Bytes of whole rows, as COPY encodes them, without header or trailer. One without rows means that memory is spent:
 * the reader goes on when some is given back.
 */
export interface RowSlice {
  readonly bytes: Buffer;
  readonly rows: number;
  /** Gives its memory back; the bytes must not be used afterwards. Safe to repeat. */
  release(): void;
}

/** Memory for rows on their way, bounded for the whole process. */
export interface RowMemory {
  /** A buffer of at least so many bytes, or null when the budget is spent. */
  take(minBytes: number): Buffer | null;
  give(buffer: Buffer): void;
  /** Resolves when something has been given back. */
  freed(): Promise<void>;
}

/** How rows are encoded: COPY's binary rows, or COPY text with its default delimiter and NULL. */
export type RowFormat = 'binary' | 'text';

export interface ReadRequest {
  /** As the user wrote it; its placeholders (src/domain/placeholders.ts) stand for the window and the run's time. */
  query: string;
  runTime?: string | undefined;
  mapping?: readonly MappedColumn[] | undefined;
  columns: readonly ResultColumn[];
  /** One of those that the probe named. */
  format: RowFormat;
  /** As the probe chose: `copy` passes on bytes that the source has encoded, `cursor` fetches rows and encodes them as text. */
  reader: 'copy' | 'cursor';
  /** Rows come in this order. */
  key: readonly string[];
  /** Proven: without NULL, and no two rows share one. */
  uniqueKey: boolean;
  /** Only rows whose key is greater than this one, in the source's own order; a NULL is greater than any value. */
  after: KeyText | null;
  bounds: PartitionBounds;
  cursor: PlannedCursor | null;
  window: CursorWindow;
  /** Fails with SOURCE_STALLED when rows have begun to come and then none came for so long. */
  rowTimeoutMs: number;
  /** Whether to read on while the pipe is busy; by default, yes. Otherwise a slice is kept ready, no more. */
  readsAhead?: boolean;
  signal: AbortSignal;
}

/** One statement being read. */
export interface SourceRead {
  /**
   * The next rows, a few hundred KiB at a time or what there is after a moment's wait; null once the end is proven
   * (the statement's own row count equals the rows given). END_NOT_PROVEN and SOURCE_* otherwise.
   */
  next(): Promise<RowSlice | null>;
  /** Stops the statement, whatever its state, and frees its connection. Never throws. */
  close(): Promise<void>;
}

export interface Source {
  /** Parses and describes the query; refuses what is not one SELECT (QUERY_NOT_ALLOWED) or what the source refuses. */
  probe(request: {
    query: string;
    /** Names columns as they arrive, as `cursor` does. */
    key: readonly string[];
    cursor: string | null;
    columns?: ColumnMapping | undefined;
    /** As an earlier probe found it, instead of `columns`. */
    mapping?: readonly MappedColumn[] | undefined;
  }): Promise<QueryProbe>;
  /**
   * The greatest cursor value up to which nothing can still be committed: the maximum in the result, taken and then
   * waited for. Returns `low` when there is nothing new, or when it is not safe within the lag.
   */
  fetchHigh(request: {
    query: string;
    cursor: PlannedCursor;
    columns: readonly ResultColumn[];
    low: string | null;
    runTime?: string | undefined;
    mapping?: readonly MappedColumn[] | undefined;
    signal: AbortSignal;
  }): Promise<string | null>;
  /**
   * Values of the first key column that split the window's rows into about equal ranges, at most `ranges` of them and each
   * of `minRows` or more as far as is known; in the source's own order, no two equal. Nothing is promised of the sizes.
   */
  splitKey(request: {
    query: string;
    columns: readonly ResultColumn[];
    key: readonly string[];
    cursor: PlannedCursor | null;
    window: CursorWindow;
    runTime?: string | undefined;
    mapping?: readonly MappedColumn[] | undefined;
    ranges: number;
    minRows: number;
    signal: AbortSignal;
  }): Promise<readonly string[]>;
  /** Starts one statement over the window, after a key, in key order. */
  read(request: ReadRequest): Promise<SourceRead>;
  /**
   * The rows of a query, to be compared with a target's by the hash of `comparison.ts`; absent where the source cannot
   * compute that. Connects for each question, and keeps no snapshot.
   */
  compare?(rows: SourceRows): ComparedRows;
  /**
   * A hash of the result of a small query, in the order in which its rows come; the same result has the same. Errors are at
   * /skipIfUnchanged.
   */
  fetchFingerprint(query: string): Promise<string>;
  /** Connects, logs in, runs nothing: SOURCE_UNREACHABLE, SOURCE_AUTH. The server's version. */
  check(): Promise<{ version: string }>;
  close(): Promise<void>;
}

/** Opens a source of one kind; connecting happens at first use. */
export type OpenSource = (access: ConnectionAccess) => Source;
