/**
 * Every interleaving of a mirror's deletes with what goes wrong around them; with any rule off the damage is in the
 * snapshot.
 */
import { describe, expect, test } from '@jest/globals';
import { exploreMirror, rules, scenarios, type RuleName } from './model.ts';

const damage: Record<RuleName, { where: keyof typeof scenarios; says: string }> = {
  keysWithRows: { where: 'ordinary', says: 'a load is done and a row of its result is not there' },
  keysAreLogged: { where: 'ordinary', says: 'a load is done and a row is there that is not in its result' },
  judgeAfterEnd: { where: 'ordinary', says: 'a load is done and a row of its result is not there' },
  guardFirst: { where: 'emptied', says: 'everything is deleted because the source returned nothing' },
  refusedIsAbandoned: { where: 'emptied', says: 'the work can never be done' },
  deleteForOpenRun: { where: 'ordinary', says: 'a row is deleted for a final run' },
  deleteOfOpenLoad: { where: 'reset', says: 'a load is done and a row of its result is not there' },
  recordWithDelete: { where: 'ordinary', says: 'a receipt does not say what was deleted' },
};

describe('a mirror’s deletes', () => {
  test.each(Object.keys(scenarios) as (keyof typeof scenarios)[])('keep every promise: %s', (name) => {
    expect(exploreMirror(scenarios[name]).violation).toBeUndefined();
  });

  test.each(Object.keys(rules) as RuleName[])('are broken without %s', (name) => {
    const { where, says } = damage[name];
    const { violation } = exploreMirror(scenarios[where], [name]);
    expect(violation?.message).toBe(says);
    expect([rules[name], ...(violation?.trace ?? [])]).toMatchSnapshot();
  });
});
