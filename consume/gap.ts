import { hasReached } from '../watch/hasReached.ts';
import type { Position } from '../watch/position.ts';
import type { ReadOutcome } from '../watch/source.ts';
import type { Consumer } from './consumer.ts';
import type { FencedStore } from './fencedStore.ts';
import type { ConsumerRecord } from './record.ts';

/** The answer of a source that no longer has what was asked for. */
export type Gap = Extract<ReadOutcome<never>, { kind: 'gap' }>;

/** Does what the consumer's policy says about events that cannot be had any more, and records it. */
export function applyGapPolicy<E, Tx>(
  store: FencedStore<E, Tx>,
  consumer: Consumer<E, Tx>,
  record: ConsumerRecord,
  from: Position,
  gap: Gap,
): void {
  const policy = consumer.onGap ?? 'error';
  const { oldest, head } = gap;
  let fault: { readonly error: unknown } | undefined;
  store.commit((tx) => {
    const current = store.load(record.id);
    if (current?.revision !== record.revision) return;
    const lastGap = { from, oldest, head, policy, at: store.settings.clock.wallNow() };
    const noted = { ...current, lastGap, gaps: current.gaps + 1 };
    switch (policy) {
      case 'error':
        fault = { error: new Error(gapText(from, gap)) };
        return store.saveFailed(noted, 'GAP', fault.error, from);
      case 'restart':
        fault = store.attempt(`the reset of '${record.id}'`, () => consumer.reset?.(tx));
        if (fault !== undefined) return store.saveFailed(current, 'RESET', fault.error, from);
        return store.save({ ...noted, position: oldest, generation: noted.generation + 1 });
      case 'skip-to-oldest':
        // Beyond the head of a history that was rolled back it has handled all that is there: never again.
        return store.save({ ...noted, position: hasReached(from, oldest) ? head : oldest });
      case 'skip-to-head':
        return store.save({ ...noted, position: head });
      default:
        policy satisfies never;
    }
  });
  if (fault !== undefined) store.settings.onError({ kind: 'consumer', consumer: record.id, error: fault.error });
}

function gapText(from: Position, { oldest, head }: Gap): string {
  const wanted = `the events after ${from.epoch}:${from.offset}`;
  if (from.epoch !== head.epoch) return `expected ${wanted}, but the history is now ${head.epoch} (onGap: 'error')`;
  if (from.offset > head.offset) return `expected ${wanted}, but the history ends at ${head.offset} (onGap: 'error')`;
  return `expected ${wanted}, but the history begins after ${oldest.offset} (onGap: 'error')`;
}
