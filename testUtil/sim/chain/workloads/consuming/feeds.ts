import type { TopicClient } from '../../../../../watch/attempt.ts';
import type { Position } from '../../../../../watch/position.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import type { BoardEvent } from '../watching/board.ts';
import { MirrorRelay } from '../watching/mirrorRelay.ts';
import { type BoardRelay, Relay } from '../watching/relay.ts';

const MIRRORED_EVENTS = 200;
const FEW_EVENTS = 15;

/** A board that is followed from where its readers were: consumers here, and those of the next hop. */
export interface BoardFeed {
  readonly relay: BoardRelay;
  /** Resolves once positions of its readers mean something to it, or it was stopped. Whoever runs consumers waits for it. */
  readonly ready: Promise<void>;
  /** Of one that was stopped before it was ready no position means anything. */
  readonly isStopped: boolean;
  /** The same for whoever serves it on. */
  readonly servable: Promise<void>;
  stop(): void;
}

/** Makes a feed. `seen`: where consumers were in an earlier life. */
export type FeedMaker = (
  context: ChainContext,
  client: TopicClient<BoardEvent>,
  seen: readonly Position[],
) => BoardFeed;

/** What an application makes of the messages of a subscription itself. */
export const relayFeed: FeedMaker = ({ clock, fail }, client, seen) => {
  const epoch = seen[0]?.epoch;
  const sorted = seen.filter((one) => one.epoch === epoch).sort((a, b) => a.offset - b.offset);
  const highest = sorted.at(-1);
  let begin: (isRecovered: boolean) => void = () => undefined;
  const begun = new Promise<boolean>((resolve) => {
    begin = resolve;
  });
  const relay = new Relay(client, clock, {
    since: sorted[0],
    keptEvents: MIRRORED_EVENTS,
    onReady: (isRecovered) => begin(isRecovered),
    onFault: (error) => fail('13', `its mirror refuses: ${String(error)}`),
  });
  // A mirror that has just begun stands where the last consumer does: those that are ahead must not believe that.
  const comesToAll = async (): Promise<void> => {
    if ((await begun) && highest !== undefined)
      await relay.mirror.reached(highest, { timeoutMs: Number.POSITIVE_INFINITY });
  };
  let isStopped = false;
  return {
    relay,
    ready: comesToAll().catch(() => undefined), // its history is over, or it was closed
    servable: Promise.resolve(),
    get isStopped() {
      return isStopped;
    },
    stop() {
      isStopped = true;
      begin(false);
      relay.stop();
    },
  };
};

/**
 * `mirrorTopic`, from the position of the consumers and of the next hop: how far it was passed on is written down first, so
 * that nobody there is ever ahead of what it knows to wait for.
 */
export const mirrorFeed: FeedMaker = (context, client, seen) => {
  const { clock, disk } = context;
  const passedOn = disk.table<Position>('passed on');
  const stopped = new AbortController();
  const relay = new MirrorRelay(context, client, {
    seen: [...seen, passedOn.get('')],
    from: clock.random() < 0.5 ? 'head' : 'start',
    // Often less than consumers lag: the rest comes from the hop before.
    keep: { events: clock.random() < 0.7 ? FEW_EVENTS : MIRRORED_EVENTS },
    resyncMs: clock.random() < 0.7 ? Number.POSITIVE_INFINITY : 15_000,
  });
  const stopListening = relay.source.onAppend(() => {
    const before = passedOn.get('');
    const { epoch, offset } = relay.mirror.head();
    if (before?.epoch !== epoch || before.offset < offset) passedOn.set('', { epoch, offset });
  });
  const ready = relay.mirror
    .ready({ timeoutMs: Number.POSITIVE_INFINITY, signal: stopped.signal })
    .catch(() => undefined);
  return {
    relay,
    ready,
    servable: ready,
    get isStopped() {
      return stopped.signal.aborted;
    },
    stop() {
      stopped.abort();
      stopListening();
      relay.stop();
    },
  };
};
