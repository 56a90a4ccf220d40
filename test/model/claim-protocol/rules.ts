/** The claim protocol, rule by rule: on, as it says; off, as somebody might have written it. */
export const claimRules = {
  // due times
  claimMoves: 'A claim puts a sync off by the length of its lease; it never takes it out of the index.',
  settleLocks: 'Due slots are computed and written under the lock of the sync’s row.',
  slotIsUnique: 'A slot is unique, and its run’s id follows from it.',
  pausesAreIntervals: 'A due time is judged by the pauses that cover it, whenever it is looked at.',
  pauseSettlesFirst: 'Whoever pauses or resumes a sync settles it first.',
  editSettlesFirst: 'Whoever edits a sync settles it first, under its old spec.',
  settleAsksStatus: 'Settling a deleted sync makes nothing.',
  publishCarriesVersion:
    'A due time that an older version of the sync had is not published over a newer one’s.',
  sweepSettles: 'The sweep settles syncs whose due time has passed unseen.',
  // admission
  offerSkipsHolders: 'A run that holds a place is not offered.',
  admitWaitsForPlaces: 'Nothing is admitted before the places of running work have been counted.',
  admitTakesPlace: 'A run leaves the waiting order and takes its place in one step.',
  admitKeepsCaps: 'A run whose source has no room is parked, and not admitted.',
  admitKeepsTenantCaps: 'A tenant without room is passed over.',
  freeWakesTenant: 'Whoever frees a place lets admission look at its tenant again.',
  admitKeepsRates: 'A run whose source may not start another yet is parked until it may.',
  gapEnds: 'The parked runs of a source go on when it may start another.',
  laterComesBack: 'What was refused until a time goes on when that has come.',
  offerKeepsLater: 'A run that waits for a time and is offered again stays where it is.',
  offerKeepsParked: 'A parked run that is offered again stays where it is.',
  freeUnparks: 'Whoever frees a place lets the least run go that is parked for it.',
  sweepUnparks: 'The sweep lets go who is parked where there is room.',
  ticketsRunOut: 'A ticket that runs out is handed to whoever asks next.',
  slowAskersGiveUp: 'Whoever has held a ticket for too long leaves it alone: it may have been handed on.',
  answersCarryToken:
    'A ticket is ended only by who holds it: a ticket that was handed on is somebody else’s.',
  sweepOffers: 'The sweep offers due queued runs that do not wait in the index.',
  // the rows’ word
  rowSaysQueued: 'A run becomes starting only while its row says queued.',
  rowSaysDue: 'A run becomes starting only when it is due by the database’s clock.',
  rowSaysNotPaused: 'A run becomes starting only while no pause covers now.',
  rowSaysThere: 'A run becomes starting only while its sync is there.',
  deleteDropsRuns: 'Whoever deletes a sync ends its queued runs.',
  resumeOffers: 'Whoever resumes a sync offers the runs that have waited for it.',
  rowSaysAlone: 'A run becomes starting only while no other run of its sync is at work.',
  rowSaysFirst: 'A run becomes starting only when none of an earlier due time of its sync waits.',
  // the engine
  workflowIdFromRun: 'The workflow’s id follows from the run: starting it again is harmless.',
  stuckIsStarted: 'A run that is starting and unknown to the engine is started, never made final.',
  sweepStarts: 'The sweep starts runs that have been starting for too long.',
  cancelIsRepeated: 'A run that is to end, and whose workflow may not have heard it, is asked again.',
  goneIsFinal: 'A run at work whose workflow is gone is made final.',
  closedIsFinal: 'A starting run whose workflow has ended already is made final.',
  // places
  finalReleases: 'Whoever makes a run final frees its place.',
  sweepFrees: 'The sweep frees places that no row vouches for.',
  sweepSparesTickets: 'A place with a ticket is not looked at by the sweep, and not freed.',
  holdersStopWaiting:
    'Whoever writes the place of a run at work takes it out of the orders in which runs wait.',
  sweepHolds: 'The sweep writes the places of runs at work.',
  // refill
  refillPlacesFirst: 'A refill writes the places of running work before it lets admission begin.',
  refillKeepsToken: 'A refill marks how far it has come only while its token is there.',
} as const;

export type ClaimRule = keyof typeof claimRules;
export type ClaimRules = Readonly<Record<ClaimRule, boolean>>;

/** All rules but those named. */
export function claimRulesBut(...off: readonly ClaimRule[]): ClaimRules {
  const on = Object.fromEntries(Object.keys(claimRules).map((name) => [name, true]));
  return { ...on, ...Object.fromEntries(off.map((name) => [name, false])) } as ClaimRules;
}
