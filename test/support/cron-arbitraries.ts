/** Random cron fields that a schedule may hold, for property tests. */
import * as fc from 'fast-check';

/** A field of values, ranges and steps between two bounds. */
function fieldArb(min: number, max: number): fc.Arbitrary<string> {
  const value = fc.integer({ min, max });
  const range = fc
    .tuple(value, value)
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
    .filter(([a, b]) => a < b);
  const item = fc.oneof(
    value.map(String),
    range.map(([a, b]) => `${a}-${b}`),
    range.chain(([a, b]) => fc.integer({ min: 1, max: b - a }).map((step) => `${a}-${b}/${step}`)),
    fc.integer({ min: 2, max: max - min }).map((step) => `*/${step}`),
  );
  return fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => items.join(','));
}

const star = fc.constant('*');
export const secondArb = fieldArb(0, 59);
export const minuteArb = fc.oneof(star, fieldArb(0, 59));
export const hourArb = fc.oneof(star, fieldArb(0, 23));
export const dayArb = fc.oneof(star, fieldArb(1, 31), fc.constant('L'));
export const monthArb = fc.oneof(star, fieldArb(1, 12), fc.constantFrom('JAN', 'feb-Apr', '2'));
const weekday = fc.integer({ min: 0, max: 6 });
export const weekdayArb = fc.oneof(
  star,
  fieldArb(0, 6),
  fc.constantFrom('7', '5-7', 'SUN', 'mon-FRI', 'tue,THU'),
  weekday.map((day) => `${day}L`),
  fc.tuple(weekday, fc.integer({ min: 1, max: 4 })).map(([day, nth]) => `${day}#${nth}`),
);
