/**
 * Worker classes: names of groups of workers. The runs of a connection that names a class are worked on by the workers of
 * that class alone, because only they reach it, or because nobody else shall share them. No class is the common workers.
 */

/** A name of at most 32 characters, as queues bear it. */
export const workerClassShape = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** What is wrong with a name that does not have this shape, as the end of a sentence. */
export const workerClassRule =
  'must be lower-case letters, digits and dashes, 32 at most, the first no dash, such as eu-private';
