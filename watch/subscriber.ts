import type { CancelTimer, Clock, Result, Writable } from '../router/index.ts';
import type { TopicError, TopicMessage } from './messages.ts';
import type { Position } from './position.ts';

/** What a subscription's messages are written to. */
export type TopicWritable<E> = Writable<Result<TopicMessage<E>, TopicError>>;

/** What is known of a subscription from its beginning. */
export interface SubscriberCall<E> {
  readonly writable: TopicWritable<E>;
  readonly keys: ReadonlySet<string> | undefined;
  /** Whose it is. */
  readonly client: string;
  readonly clock: Clock;
  /** Wants what only the origin of the source holds, too. */
  readonly wantsAll: boolean;
  /** So many bytes of events may share a message to it; an event that takes more cannot be sent to it. */
  readonly maxBytes: number;
  /** What `waitForWriteReady` waits for. */
  readonly canTakeMore: () => boolean;
  readonly logError: (message: string, error: unknown) => void;
}

/**
 * One subscription of a topic on the server: no queue, only how far it was served. Whoever is at the head hears of events
 * together with the others there; whoever is not reads the history at its own pace.
 */
export class Subscriber<E> {
  readonly writable: TopicWritable<E>;
  readonly keys: ReadonlySet<string> | undefined;
  readonly client: string;
  readonly clock: Clock;
  readonly wantsAll: boolean;
  readonly maxBytes: number;
  readonly canTakeMore: () => boolean;
  readonly logError: (message: string, error: unknown) => void;
  /** Everything up to here was sent, or was not for it. */
  cursor: Position;
  /** Everything up to here it knows to have been sent. */
  told: Position;
  /** What was begun for it under an older number is not continued. */
  turn = 0;
  /** Ends waiting for its turn. */
  cancelTurn: CancelTimer | undefined;
  /** Ends listening to the revocation of its permission. */
  stopRevocation: (() => void) | undefined;

  constructor(call: SubscriberCall<E>, cursor: Position) {
    const { writable, keys, client, clock, wantsAll, maxBytes, canTakeMore, logError } = call;
    this.writable = writable;
    this.keys = keys;
    this.client = client;
    this.clock = clock;
    this.wantsAll = wantsAll;
    this.maxBytes = maxBytes;
    this.canTakeMore = canTakeMore;
    this.logError = logError;
    this.cursor = cursor;
    this.told = cursor;
  }

  /** Everything up to `position` was sent, and it knows. */
  sentThrough(position: Position): void {
    this.cursor = position;
    this.told = position;
  }

  /** Ends what was begun for it. */
  interrupt(): void {
    this.turn += 1;
    this.cancelTurn?.();
    this.cancelTurn = undefined;
  }
}
