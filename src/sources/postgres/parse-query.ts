/**
 * The user's query, read by PostgreSQL's own parser: one SELECT that changes nothing, and what in it forbids continuing
 * it later. READ ONLY is no sandbox, so what is not a plain SELECT never reaches the server.
 */
import { PenstockError } from '../../domain/errors.ts';
import { parseSql } from './sql-parser.ts';

/** A possibly qualified name. */
export interface ObjectName {
  schema: string | null;
  name: string;
}

export interface ParsedQuery {
  /** The statement alone, without a trailing semicolon. */
  sql: string;
  /** Tables and views that are named anywhere in it. */
  relations: readonly ObjectName[];
  /** Functions that are called anywhere in it. */
  functions: readonly ObjectName[];
  /** The table, if the query reads one and makes at most one row of each of its rows. */
  onlyTable: ObjectName | null;
  /** Every row of that table. */
  isWholeTable: boolean;
  /** Why its result may differ when it is read again: LIMIT, TABLESAMPLE, current_timestamp … */
  unstable: readonly string[];
}

type Node = Record<string, unknown>;

/** Parses the query. QUERY_NOT_ALLOWED, with the position, when it is not one SELECT that changes nothing. */
export async function parseQuery(query: string): Promise<ParsedQuery> {
  const statement = await parseOne(query);
  const select = statement.stmt['SelectStmt'] as Node | undefined;
  if (!select) throw refuse('The query is not a SELECT');
  const found: Findings = { relations: [], functions: [], unstable: new Set() };
  walk(statement.stmt, found);
  return {
    sql: textOf(query, statement),
    relations: found.relations,
    functions: found.functions,
    onlyTable: onlyTableOf(select),
    isWholeTable: onlyTableOf(select) !== null && select['whereClause'] === undefined,
    unstable: [...found.unstable],
  };
}

const refuse = (what: string): PenstockError =>
  new PenstockError('QUERY_NOT_ALLOWED', `${what}.`, { pointer: '/source/query' });

interface Statement {
  stmt: Node;
  /** In bytes of UTF-8. */
  stmt_location?: number;
  stmt_len?: number;
}

async function parseOne(query: string): Promise<Statement> {
  let statements: Statement[];
  try {
    statements = ((await parseSql(query)) as unknown as { stmts?: Statement[] }).stmts ?? [];
  } catch (error) {
    const { at } = error as { at?: number };
    const fault = at === undefined ? 'is nested too deeply' : `has a syntax error at position ${at}`;
    throw new PenstockError('SOURCE_SQL', `The query ${fault}.`, { pointer: '/source/query' });
  }
  const [statement] = statements;
  if (!statement || statements.length > 1)
    throw refuse(`The query has ${statements.length} statements, not one`);
  return statement;
}

function textOf(query: string, { stmt_location: from = 0, stmt_len: length }: Statement): string {
  const bytes = Buffer.from(query, 'utf8');
  return bytes
    .subarray(from, length === undefined ? bytes.length : from + length)
    .toString('utf8')
    .trim();
}

interface Findings {
  relations: ObjectName[];
  functions: ObjectName[];
  unstable: Set<string>;
}

const forbidden: Readonly<Record<string, string>> = {
  InsertStmt: 'INSERT',
  UpdateStmt: 'UPDATE',
  DeleteStmt: 'DELETE',
  MergeStmt: 'MERGE',
  IntoClause: 'INTO',
  intoClause: 'INTO',
  lockingClause: 'FOR UPDATE or FOR SHARE',
  ParamRef: 'a parameter',
};

/** Visits every node; keys of the tree are both node types and field names. Iterative: a query may be nested deeply. */
function walk(tree: unknown, found: Findings): void {
  const pending = [tree];
  while (pending.length > 0) {
    const value = pending.pop();
    if (typeof value !== 'object' || value === null) continue;
    if (!Array.isArray(value))
      for (const [key, child] of Object.entries(value)) {
        if (forbidden[key]) throw refuse(`The query contains ${forbidden[key]}`);
        note(key, child as Node, found);
      }
    pending.push(...Object.values(value).toReversed());
  }
}

const sessionValues = /ROLE|USER|CATALOG|SCHEMA/;
/** Their results change with the time, though Postgres calls them stable. */
const clockFunctions = new Set(['now', 'transaction_timestamp', 'statement_timestamp', 'timeofday']);

function note(key: string, node: Node, found: Findings): void {
  switch (key) {
    case 'RangeVar':
      found.relations.push({
        schema: (node['schemaname'] as string | undefined) ?? null,
        name: node['relname'] as string,
      });
      break;
    case 'FuncCall': {
      const called = nameOf(node['funcname']);
      found.functions.push(called);
      const oneArgument = (node['args'] as unknown[] | undefined)?.length === 1;
      if (clockFunctions.has(called.name) || (called.name === 'age' && oneArgument))
        found.unstable.add(`it calls ${called.name}()`);
      break;
    }
    case 'SQLValueFunction': {
      const what = String(node['op']).replace(/^SVFOP_|_N$/g, '');
      if (!sessionValues.test(what)) found.unstable.add(`it uses ${what.toLowerCase()}`);
      break;
    }
    case 'limitCount':
      if (!(node['A_Const'] as Node | undefined)?.['isnull']) found.unstable.add('it has LIMIT');
      break;
    case 'limitOffset':
      found.unstable.add('it has OFFSET');
      break;
    case 'RangeTableSample':
      found.unstable.add('it has TABLESAMPLE');
      break;
  }
}

function nameOf(list: unknown): ObjectName {
  const parts = (list as { String: { sval: string } }[]).map((part) => part.String.sval);
  return { schema: parts.length > 1 ? parts.at(-2)! : null, name: parts.at(-1)! };
}

/** `select … from one_table [where …] [order by …]` and nothing more. */
function onlyTableOf(select: Node): ObjectName | null {
  const allowed = new Set(['targetList', 'fromClause', 'whereClause', 'sortClause', 'limitOption', 'op']);
  if (Object.keys(select).some((key) => !allowed.has(key)) || select['op'] !== 'SETOP_NONE') return null;
  const from = (select['fromClause'] as Node[] | undefined) ?? [];
  const table = from.length === 1 ? (from[0]!['RangeVar'] as Node | undefined) : undefined;
  if (!table) return null;
  return { schema: (table['schemaname'] as string | undefined) ?? null, name: table['relname'] as string };
}
