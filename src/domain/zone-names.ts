/**
 * Which time zones a schedule may name: IANA names that this Node knows, found by constructing a formatter (the list
 * of Intl lacks a fifth of them). Offsets, empty names and abbreviations that are not IANA's are refused, with the
 * names that were probably meant.
 */
import { PenstockError } from './errors.ts';

/** ICU also takes old abbreviations (AST is Alaska to it, IST India); these are the ones that IANA has. */
const ianaAbbreviations = new Set('CET EET EST GMT HST MET MST PRC ROC ROK UCT UTC WET'.split(' '));

/** Today's names of zones that Intl lists under an older one, and the name of no zone at all. */
const namesNotListed = [
  'UTC',
  'America/Argentina/Buenos_Aires',
  'America/Nuuk',
  'Asia/Ho_Chi_Minh',
  'Asia/Kathmandu',
  'Asia/Kolkata',
  'Asia/Yangon',
  'Atlantic/Faroe',
  'Europe/Kyiv',
];

const maxZoneLength = 64;
const maxDistance = 2;

/**
 * @param pointer RFC 6901 pointer to the member that holds the name
 * @throws PenstockError UNKNOWN_ZONE
 */
export function checkZone(name: string, pointer: string): void {
  const problem = problemOf(name);
  if (problem !== undefined) throw new PenstockError('UNKNOWN_ZONE', problem, { pointer });
}

function problemOf(name: string): string | undefined {
  if (name.trim() === '') return 'The time zone is empty; write an IANA name such as Europe/Berlin, or UTC.';
  if (name.length > maxZoneLength)
    return `The time zone has ${name.length} characters; write an IANA name such as Europe/Berlin.`;
  const shown = JSON.stringify(name);
  if (/^(UTC|GMT)?[+-]\d/i.test(name) && !/^GMT[+-]0$/i.test(name))
    return `${shown} is an offset, which knows no summer time; write the IANA name of a place such as Asia/Kolkata, or UTC.`;
  const known = resolveZone(name);
  const isAbbreviation = /^[A-Z]{3}$/i.test(name) && !ianaAbbreviations.has(name.toUpperCase());
  if (known !== undefined && !isAbbreviation) return undefined;
  if (known !== undefined)
    return `${shown} is short for more than one zone; write the name of a place, such as ${known}.`;
  const near = nearZones(name);
  const instead =
    near.length > 0 ? `did you mean ${near.join(' or ')}?` : 'write an IANA name such as Europe/Berlin.';
  return `There is no time zone ${shown}; ${instead}`;
}

function resolveZone(name: string): string | undefined {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

const fold = (text: string): string => text.toLowerCase().replace(/[^a-z]/g, '');

/** Up to three known names whose whole or last part is, but for a letter or two, what was written. */
function nearZones(name: string): string[] {
  const place = (zone: string): string => fold(zone.split('/').at(-1)!);
  return [...new Set([...namesNotListed, ...Intl.supportedValuesOf('timeZone')])]
    .map((zone) => ({
      zone,
      distance: Math.min(misspelling(fold(name), fold(zone)), misspelling(place(name), place(zone))),
    }))
    .filter(({ distance }) => distance <= maxDistance)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ zone }) => zone);
}

/** How many letters are wrong; too many for the length of the word is another word. */
function misspelling(written: string, meant: string): number {
  const distance = editDistance(written, meant);
  return distance * 3 < meant.length ? distance : Infinity;
}

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > maxDistance) return Infinity;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
