/** The modes by name. */
import type { LoadPlan } from '../../../ports/destination.ts';
import { append, scopedAppend, stagedAppend } from './append.ts';
import { mirror } from './mirror.ts';
import type { Mode } from './mode.ts';
import { replace } from './replace.ts';
import { upsert } from './upsert.ts';

const modes: Readonly<Record<LoadPlan['mode'], Mode>> = { append, upsert, mirror, replace };

/** How the load of a plan is written: an append that cannot be resumed is staged. */
export function modeOf({ mode, resumable, scope }: Pick<LoadPlan, 'mode' | 'resumable' | 'scope'>): Mode {
  if (mode !== 'append') return modes[mode];
  if (!resumable) return stagedAppend;
  return scope ? scopedAppend : append;
}
