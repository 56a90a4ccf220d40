/**
 * The oracle of the schedule maths: walks a zone minute by minute and applies the rule as it is written down, with no
 * code of the product and no cron library. Slow and simple on purpose.
 */
export interface WalkedMinute {
  readonly instantMs: number;
  /** what the zone's clock shows, as the ms that the same reading has in UTC */
  readonly wallMs: number;
}

const minuteMs = 60_000;
const formatters = new Map<string, Intl.DateTimeFormat>();

/** The clock of a zone, read from the printed date (the product reads printed offsets). */
export function readClock(zone: string, instantMs: number): number {
  let formatter = formatters.get(zone);
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formatters.set(zone, formatter);
  }
  const [month, day, year, hour, minute, second] = formatter.format(instantMs).match(/\d+/g)!.map(Number);
  return Date.UTC(year!, month! - 1, day, hour, minute, second);
}

/** Every minute from `fromMs` up to and without `toMs`. */
export function walkMinutes(zone: string, fromMs: number, toMs: number): WalkedMinute[] {
  const walked: WalkedMinute[] = [];
  for (let instantMs = fromMs; instantMs < toMs; instantMs += minuteMs)
    walked.push({ instantMs, wallMs: readClock(zone, instantMs) });
  return walked;
}

/** Instants at which the clock of a zone was set, between two times, by looking once a week. */
export function findTransitions(zone: string, fromMs: number, toMs: number): number[] {
  const offset = (ms: number): number => readClock(zone, ms) - ms;
  const weekMs = 7 * 24 * 60 * minuteMs;
  const found: number[] = [];
  let before = offset(fromMs);
  for (let ms = fromMs; ms < toMs; ms += weekMs) {
    const after = offset(ms + weekMs);
    if (after === before) continue;
    let [low, high] = [ms, ms + weekMs];
    while (high - low > minuteMs) {
      const middle = low + Math.floor((high - low) / 2 / minuteMs) * minuteMs;
      if (offset(middle) === before) low = middle;
      else high = middle;
    }
    found.push(high);
    before = after;
  }
  return found;
}

/** The fire times of a cron expression among the walked minutes, in order, without wall times that are excluded. */
export function firesByWalking(
  cron: string,
  walked: readonly WalkedMinute[],
  isExcluded: (wallMs: number) => boolean = () => false,
): number[] {
  const isNamed = cronMatcher(cron);
  const matches = (wallMs: number): boolean => isNamed(wallMs) && !isExcluded(wallMs);
  if (hoursOf(cron).size === 24) return walked.filter((w) => matches(w.wallMs)).map((w) => w.instantMs);
  const firstShowing = new Map<number, number>();
  for (const { instantMs, wallMs } of walked)
    if (!firstShowing.has(wallMs)) firstShowing.set(wallMs, instantMs);
  const fires = new Set<number>();
  for (let wallMs = walked[0]!.wallMs; wallMs <= walked.at(-1)!.wallMs; wallMs += minuteMs) {
    if (!matches(wallMs)) continue;
    const afterTheGap = () => walked.find((w) => w.wallMs > wallMs)!.instantMs;
    fires.add(firstShowing.get(wallMs) ?? afterTheGap());
  }
  return [...fires].sort((a, b) => a - b);
}

const names = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const months = ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

function valuesOf(field: string, min: number, max: number, words: readonly string[] = []): Set<number> {
  const value = (text: string): number => {
    const word = words.indexOf(text.toLowerCase());
    return word >= 0 ? word : Number(text);
  };
  const values = new Set<number>();
  for (const item of field.split(',')) {
    const [range, step = '1'] = item.split('/');
    const [from, to] = range === '*' ? [min, max] : range!.split('-').map(value);
    for (let v = from!; v <= (to ?? from!); v += Number(step)) values.add(v);
  }
  return values;
}

const hoursOf = (cron: string): Set<number> => valuesOf(cron.split(' ')[1]!, 0, 23);

/** Whether a wall time matches a five-field expression. */
export function cronMatcher(cron: string): (wallMs: number) => boolean {
  const [minute, , day, month, weekday] = cron.split(' ') as [string, string, string, string, string];
  const [minutes, hours, monthSet] = [valuesOf(minute, 0, 59), hoursOf(cron), valuesOf(month, 1, 12, months)];
  const dayMatches = dayMatcher(day);
  const weekdayMatches = weekdayMatcher(weekday);
  return (wallMs) => {
    const wall = new Date(wallMs);
    if (!minutes.has(wall.getUTCMinutes()) || !hours.has(wall.getUTCHours())) return false;
    if (!monthSet.has(wall.getUTCMonth() + 1)) return false;
    if (day === '*' && weekday === '*') return true;
    if (day === '*') return weekdayMatches(wall);
    if (weekday === '*') return dayMatches(wall);
    return dayMatches(wall) || weekdayMatches(wall);
  };
}

const daysLater = (wall: Date, days: number): Date => new Date(wall.getTime() + days * 24 * 60 * minuteMs);

function dayMatcher(field: string): (wall: Date) => boolean {
  if (field === 'L') return (wall) => daysLater(wall, 1).getUTCDate() === 1;
  const values = valuesOf(field, 1, 31);
  return (wall) => values.has(wall.getUTCDate());
}

function weekdayMatcher(field: string): (wall: Date) => boolean {
  const last = /^(\d)L$/.exec(field);
  if (last)
    return (wall) =>
      wall.getUTCDay() === Number(last[1]) % 7 && daysLater(wall, 7).getUTCMonth() !== wall.getUTCMonth();
  const nth = /^(\d)#(\d)$/.exec(field);
  if (nth)
    return (wall) =>
      wall.getUTCDay() === Number(nth[1]) % 7 &&
      daysLater(wall, -7 * Number(nth[2])).getUTCMonth() !== wall.getUTCMonth() &&
      daysLater(wall, -7 * (Number(nth[2]) - 1)).getUTCMonth() === wall.getUTCMonth();
  const values = valuesOf(field, 0, 6, names);
  return (wall) => values.has(wall.getUTCDay()) || (wall.getUTCDay() === 0 && values.has(7));
}
