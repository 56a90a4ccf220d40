/** The modes by name. */
import type { LoadPlan } from '../../../ports/destination.ts';
import { append, scopedAppend, stagedAppend } from './append.ts';
import { mirror } from './mirror.ts';
import type { Mode } from './mode.ts';
import { replace, scopedReplace } from './replace.ts';
import { upsert } from './upsert.ts';

type Modes = Readonly<Record<LoadPlan['mode'], Mode>>;

const ofTables: Modes = { append, upsert, mirror, replace };
const ofScopes: Modes = { append: scopedAppend, upsert, mirror, replace: scopedReplace };

/** How the load of a plan is written: an append that cannot be resumed is staged. */
export const modeOf = ({ mode, resumable, scope }: Pick<LoadPlan, 'mode' | 'resumable' | 'scope'>): Mode =>
  mode === 'append' && !resumable ? stagedAppend : (scope ? ofScopes : ofTables)[mode];
