/** The modes by name. */
import type { LoadPlan } from '../../../ports/destination.ts';
import { append, stagedAppend } from './append.ts';
import { mirror } from './mirror.ts';
import type { Mode } from './mode.ts';
import { replace } from './replace.ts';
import { upsert } from './upsert.ts';

const modes: Readonly<Record<LoadPlan['mode'], Mode>> = { append, upsert, mirror, replace };

/** How the load of a plan is written: an append that cannot be resumed is staged. */
export const modeOf = ({ mode, resumable }: Pick<LoadPlan, 'mode' | 'resumable'>): Mode =>
  mode === 'append' && !resumable ? stagedAppend : modes[mode];
