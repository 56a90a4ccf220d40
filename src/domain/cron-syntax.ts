/**
 * The cron expressions that a schedule may hold: five fields, or six with `seconds`, of numbers, names, lists, ranges
 * and steps, plus `L`, `5L` and `5#2` for days. Stricter than any parser: what people mistake (a step beyond its field,
 * a reversed range, Jenkins' H) is refused with what to write instead, and what is left is spelled out in numbers.
 */
import { PenstockError } from './errors.ts';

interface FieldRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** names of the values from `min` on */
  readonly names?: readonly string[];
  /** unit of an `every` that says what a too large step meant */
  readonly unit?: 's' | 'm' | 'h' | 'd';
}

const monthNames = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const secondRule: FieldRule = { name: 'second', min: 0, max: 59, unit: 's' };
const fieldRules: readonly FieldRule[] = [
  { name: 'minute', min: 0, max: 59, unit: 'm' },
  { name: 'hour', min: 0, max: 23, unit: 'h' },
  { name: 'day of month', min: 1, max: 31, unit: 'd' },
  { name: 'month', min: 1, max: 12, names: monthNames },
  { name: 'weekday', min: 0, max: 7, names: dayNames },
];

const aliases = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);

const maxCronLength = 256;

/** Refuses with the reason and what to write instead. */
type Refuse = (message: string) => never;

const quote = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

/**
 * Checks a cron expression and spells it out for cron-parser: six fields, seconds first, each `*`, a list of distinct
 * numbers, or one of the day forms with L and #.
 * @param pointer RFC 6901 pointer to the member that holds the text
 * @throws PenstockError SCHEDULE_INVALID
 */
export function spellOutCron(text: string, withSeconds: boolean, pointer: string): readonly string[] {
  const refuse: Refuse = (message) => {
    throw new PenstockError('SCHEDULE_INVALID', message, { pointer });
  };
  if (text.length > maxCronLength)
    refuse(
      `The cron expression has ${text.length} characters; write at most ${maxCronLength}, with ranges and steps.`,
    );
  const trimmed = text.trim();
  const alias = aliases.get(trimmed.toLowerCase());
  const tokens = (alias ?? trimmed).split(/[ \t]+/);
  if (trimmed === '' || trimmed.startsWith('@')) {
    if (alias === undefined) refuseWhole(trimmed, refuse);
  }
  if (alias !== undefined || !withSeconds) {
    if (tokens.length !== 5) refuseCount(tokens, 5, refuse);
    return ['0', ...tokens.map((token, i) => spellOutField(token, fieldRules[i]!, refuse))];
  }
  if (tokens.length !== 6) refuseCount(tokens, 6, refuse);
  return tokens.map((token, i) => spellOutField(token, i === 0 ? secondRule : fieldRules[i - 1]!, refuse));
}

function refuseWhole(text: string, refuse: Refuse): never {
  if (text === '')
    refuse('The cron expression is empty; write five fields, such as "0 6 * * *", or {manual: true}.');
  const every = /^@every +(\S+)$/i.exec(text);
  if (every) refuse(`${quote(text)} is not cron; write {every: ${quote(every[1]!)}} instead of {cron: …}.`);
  if (/^@reboot$/i.test(text))
    refuse('"@reboot" has no meaning here: a sync never boots; write {manual: true} and trigger it.');
  return refuse(
    `${quote(text)} is no known alias; write one of ${[...aliases.keys()].join(', ')}, or five fields.`,
  );
}

function refuseCount(tokens: readonly string[], wanted: 5 | 6, refuse: Refuse): never {
  const count = `The cron expression has ${tokens.length} field${tokens.length === 1 ? '' : 's'}`;
  if (/^(CRON_)?TZ=/.test(tokens[0]!))
    refuse('A cron expression holds no zone; write it in `timezone` beside `cron`.');
  if (wanted === 6)
    refuse(`${count}, but \`seconds: true\` asks for six: second minute hour day-of-month month weekday.`);
  if (tokens.length === 6)
    refuse(
      `${count}; write five, or add \`seconds: true\` if the first one counts seconds: {cron: ${quote(tokens.join(' '))}, seconds: true}.`,
    );
  return refuse(`${count}; write five: minute hour day-of-month month weekday, such as "*/15 * * * *".`);
}

function spellOutField(token: string, rule: FieldRule, refuse: Refuse): string {
  const special = spellOutDayForm(token, rule, refuse);
  if (special !== undefined) return special;
  const values = new Set<number>();
  for (const item of token.split(',')) {
    const expanded = expandItem(item, rule, refuse);
    if (expanded === '*') {
      if (token !== item)
        refuse(`${rule.name} ${quote(token)}: "*" in a list already means every value; write "*".`);
      return '*';
    }
    for (const value of expanded) values.add(rule.name === 'weekday' ? value % 7 : value);
  }
  return [...values].sort((a, b) => a - b).join(',');
}

/** `L` (last day of the month), `5L` (last Friday), `5#2` (second Friday); undefined when it is none of them. */
function spellOutDayForm(token: string, rule: FieldRule, refuse: Refuse): string | undefined {
  if (rule.name === 'day of month' && /^L$/i.test(token)) return 'L';
  const [, day, form] = /^([^,/*-]+?)(L|#\d+)$/i.exec(token) ?? [];
  if (rule.name !== 'weekday' || day === undefined || form === undefined) return undefined;
  const value = readValue(day, rule, token, refuse) % 7;
  if (/^L$/i.test(form)) return `${value}L`;
  if (!/^#[1-4]$/.test(form))
    refuse(
      `weekday ${quote(token)}: every month has a first to fourth one; write ${value}#1 to ${value}#4, or ${value}L for the last.`,
    );
  return `${value}${form}`;
}

/** The values of one item of a list: `*`, `5`, `1-5`, `1-30/2`, or a star with a step. */
function expandItem(item: string, rule: FieldRule, refuse: Refuse): number[] | '*' {
  if (item === '')
    refuse(`${rule.name}: a list has an empty item; write numbers with single commas, such as "0,30".`);
  const [range, stepText, ...rest] = item.split('/') as [string, ...string[]];
  const [fromText, toText, ...more] = range.split('-') as [string, ...string[]];
  if (rest.length > 0 || more.length > 0 || [fromText, toText, stepText].includes(''))
    refuse(
      `${rule.name} ${quote(item)} is neither a value, a range nor a step; write it like "5", "1-5" or "*/5".`,
    );
  if (range === '*' && (stepText === undefined || Number(stepText) === 1)) return '*';
  const isStar = range === '*';
  const from = isStar ? rule.min : readValue(fromText, rule, item, refuse);
  const to = isStar ? lastValue(rule) : toText === undefined ? from : readValue(toText, rule, item, refuse);
  if (stepText !== undefined && !isStar && toText === undefined)
    refuse(
      `${rule.name} ${quote(item)}: a step needs a range; write "${from}-${lastValue(rule)}/${stepText}".`,
    );
  if (from > to) refuseReversed(item, from, to, rule, refuse);
  const step = stepText === undefined ? 1 : readStep(stepText, to - from, item, rule, refuse);
  const values: number[] = [];
  for (let value = from; value <= to; value += step) values.push(value);
  return values;
}

/** 7 is Sunday again, for ranges such as 5-7. */
const lastValue = (rule: FieldRule): number => (rule.name === 'weekday' ? 6 : rule.max);

function refuseReversed(item: string, from: number, to: number, rule: FieldRule, refuse: Refuse): never {
  const upper = from === lastValue(rule) ? `${from}` : `${from}-${lastValue(rule)}`;
  const lower = to === rule.min ? `${to}` : `${rule.min}-${to}`;
  return refuse(
    `${rule.name} ${quote(item)} is a reversed range; write "${upper},${lower}" if it should wrap around.`,
  );
}

function readStep(text: string, span: number, item: string, rule: FieldRule, refuse: Refuse): number {
  const step = Number(text);
  if (!/^\d{1,6}$/.test(text) || step === 0)
    refuse(`${rule.name} ${quote(item)}: the step must be a whole number of 1 or more, such as "*/5".`);
  if (step > span) {
    const instead =
      rule.unit === undefined
        ? `the ${rule.name}s you mean, with commas`
        : `{every: "${step}${rule.unit}"} for a true interval`;
    refuse(
      `${rule.name} ${quote(item)}: a step starts again with each range, so one beyond ${span} is never reached; write ${instead}.`,
    );
  }
  return step;
}

function readValue(text: string, rule: FieldRule, item: string, refuse: Refuse): number {
  const named = rule.names?.indexOf(text.toLowerCase()) ?? -1;
  if (named >= 0) return rule.min + named;
  if (/^H(\(.*)?$/i.test(text))
    refuse(
      `${rule.name} ${quote(item)}: H is a different value at each reading; write a number, such as ${rule.min + 7 <= rule.max ? rule.min + 7 : rule.min}.`,
    );
  if (text === '?') refuse(`${rule.name} "?": write "*".`);
  const value = Number(text);
  if (!/^\d{1,4}$/.test(text) || value < rule.min || value > rule.max)
    refuse(`${rule.name} ${quote(item)}: ${quote(text)} is not ${describeValues(rule)}.`);
  return value;
}

function describeValues(rule: FieldRule): string {
  const names =
    rule.names === undefined ? '' : ` or ${rule.names[0]!.toUpperCase()}-${rule.names.at(-1)!.toUpperCase()}`;
  const last = rule.name === 'day of month' ? ', or L alone for the last day' : '';
  return `a number from ${rule.min} to ${rule.max}${names}${last}`;
}
