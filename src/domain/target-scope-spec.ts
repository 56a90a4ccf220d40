/**
 * The scope of a sync: the rows of a shared table that are its own, told by columns that have one value each in all of
 * them. Those columns are no part of the query: they are added to every row that is written, and bound what is deleted.
 */
import { z } from 'zod';

/**
 * A column and the value that it has in every row, as many as tell the rows apart. No half characters: different ones would be
 * one and the same by the time that they are stored.
 */
export const targetScopeSchema = z.record(
  z.string().regex(/^[^\0\p{Cs}]{1,63}$/u, 'a column of the target, at most 63 characters'),
  z.union([z.string().regex(/^[^\0\p{Cs}]{0,500}$/u, 'at most 500 characters'), z.int(), z.boolean()]),
);
export type TargetScope = Readonly<z.infer<typeof targetScopeSchema>>;

/** A value as its column prints it: equal texts are equal values, and different ones different values. */
export const scopeText = (value: TargetScope[string]): string => String(value);

/**
 * Whether no row can be in both: they name a column in common, and it would need two values. Otherwise a row with the
 * values of both is in both, so there is no other way to be disjoint. An empty scope is the whole table.
 */
export const areDisjoint = (one: TargetScope, other: TargetScope): boolean =>
  Object.entries(one).some(
    ([column, value]) => Object.hasOwn(other, column) && scopeText(value) !== scopeText(other[column]!),
  );
