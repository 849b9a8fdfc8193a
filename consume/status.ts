/**
 * What a consumer is doing. `new`: known, not started. `booting`: catching up for the first time, or anew. `active`: follows.
 * `paused`: somebody said so. `finished`: of mode `to-head`, and there. `detached`: a record whose consumer is not in the
 * engine. `error`: its handler failed, or it missed events.
 */
export const consumerStatuses = ['new', 'booting', 'active', 'paused', 'finished', 'detached', 'error'] as const;

/** One of {@link consumerStatuses}. */
export type ConsumerStatus = (typeof consumerStatuses)[number];

/** What a consumer does when nothing is in its way. */
export type UndisturbedStatus = 'new' | 'booting' | 'active' | 'finished';

/** Every way from one status to another. The graph in docs/consume.md is this table. */
export const statusEdges: Readonly<Record<ConsumerStatus, readonly ConsumerStatus[]>> = {
  new: ['booting', 'paused', 'detached'],
  booting: ['active', 'finished', 'error', 'paused', 'detached'],
  active: ['booting', 'finished', 'error', 'paused', 'detached'],
  paused: ['new', 'booting', 'active', 'detached'],
  finished: ['booting', 'detached'],
  detached: ['new', 'booting', 'active', 'paused', 'finished', 'error'],
  error: ['booting', 'active', 'paused', 'detached'],
};
