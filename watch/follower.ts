import type { Clock, ErrorPayload } from '../router/index.ts';
import type { OpenAttempt } from './attempt.ts';
import { Backoff } from './backoff.ts';
import type { WatchClosedError } from './errors.ts';
import type { SentEvent, TopicMessage } from './messages.ts';
import type { Position } from './position.ts';

/**
 * How a subscription begins: nothing was known before (`first`), nothing was missed (`recovered`), or something was that
 * cannot be had (`gap`).
 */
export type Beginning = 'first' | 'recovered' | 'gap';

/** What hears of a topic that is followed across sessions. */
export interface FollowHandler<E> {
  /**
   * Events follow from `position` on.
   * @param head how far the history goes, where that is further; before there, nothing says what is true now
   */
  onReady(beginning: Beginning, position: Position, head: Position | undefined): void;
  /** @param events in order, each once; none where all was filtered */
  onEvents(events: readonly SentEvent<E>[], through: Position): void;
  /** Something was missed; events follow from `position` on. */
  onReset(position: Position): void;
  /** The subscription has ended; there will be another. */
  onLost(error: ErrorPayload | undefined): void;
  /** The subscription was refused; there will be no other. */
  onRefused(error: ErrorPayload): void;
  /** There is nobody to be asked any more: the transport was closed. Without it, it is a loss that nothing follows. */
  onOver?(error: WatchClosedError): void;
}

/** What {@link FollowHandler}s are attached to: a subscription of one's own, or a share of one. */
export interface Feed {
  start(): void;
  stop(): void;
  /** Begins again since the last position, in case the server has forgotten. Answered by `onReady`, sooner or later. */
  resubscribe(): void;
}

/** What is asked for, besides since when. */
export interface Asked {
  readonly keys?: readonly string[] | undefined;
  readonly from?: 'oldest' | undefined;
}

/** Codes that come again however often one asks. */
const FINAL_CODES: readonly string[] = ['NOT_AUTHORIZED', 'NO_KEYS'];

/** Follows a topic: one attempt at a time, each since the last position, with a backoff between those that fail. */
export class Follower<E> implements Feed {
  readonly #open: OpenAttempt<E>;
  readonly #ask: () => Asked;
  readonly #handler: FollowHandler<E>;
  readonly #backoff: Backoff;
  #heard: Position | undefined;
  #revoke: (() => void) | undefined;
  #isReady = false;
  #isOver = false;
  #stopListening: (() => void) | undefined;

  /** @param ask called at every attempt */
  constructor(
    open: OpenAttempt<E>,
    ask: () => Asked,
    since: Position | undefined,
    clock: Clock,
    handler: FollowHandler<E>,
  ) {
    this.#open = open;
    this.#ask = ask;
    this.#handler = handler;
    this.#backoff = new Backoff(clock);
    this.#heard = since;
  }

  get heard(): Position | undefined {
    return this.#heard;
  }

  start(): void {
    this.#isOver = false;
    this.#stopListening?.();
    this.#stopListening = this.#open.onceOver?.((error) => this.#over(error));
    if (!this.#isOver) this.#attempt();
  }

  stop(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#backoff.cancel();
    this.#revoke?.();
    this.#revoke = undefined;
  }

  resubscribe(): void {
    if (this.#isOver || this.#backoff.isWaiting) return; // none is of use, or one is due anyway
    this.#attempt();
  }

  #over(error: WatchClosedError): void {
    this.#isOver = true;
    this.stop();
    if (this.#handler.onOver !== undefined) this.#handler.onOver(error);
    else this.#handler.onLost(error);
  }

  #attempt(): void {
    this.#revoke?.();
    this.#isReady = false;
    const { keys, from } = this.#ask();
    const request = {
      ...(this.#heard !== undefined && { since: this.#heard }),
      ...(keys !== undefined && { keys: [...keys] }),
      ...(from !== undefined && { from }),
    };
    this.#revoke = this.#open(request, {
      onMessage: (message) => this.#onMessage(message),
      onEnd: (error) => this.#onEnd(error),
    });
  }

  #onEnd(error: ErrorPayload | undefined): void {
    this.#revoke = undefined;
    this.#isReady = false;
    if (error !== undefined && FINAL_CODES.includes(error.code)) return this.#handler.onRefused(error);
    this.#backoff.failed(() => this.#attempt());
    this.#handler.onLost(error);
  }

  #onMessage(message: TopicMessage<E>): void {
    if (message.type === 'ready') return this.#onReady(message.position, message.isRecovered, message.head);
    if (!this.#isReady) return this.#mistaken(`expected ready, got ${message.type}`);
    switch (message.type) {
      case 'reset':
        this.#heard = message.position;
        return this.#handler.onReset(message.position);
      case 'progress':
        return this.#onEvents([], message.position);
      case 'events':
        return this.#onEvents(message.events, { epoch: message.epoch, offset: message.through });
      default:
        return message satisfies never;
    }
  }

  #onReady(position: Position, isRecovered: boolean, head: Position | undefined): void {
    const beginning = this.#heard === undefined ? 'first' : isRecovered ? 'recovered' : 'gap';
    this.#isReady = true;
    this.#heard = position;
    this.#backoff.succeeded();
    this.#handler.onReady(beginning, position, head);
  }

  #onEvents(events: readonly SentEvent<E>[], through: Position): void {
    const { epoch, offset } = this.#heard ?? through;
    if (through.epoch !== epoch || through.offset < offset)
      return this.#mistaken('expected a position behind the last');
    this.#heard = through;
    const fresh = events.filter((event) => event.offset > offset);
    this.#handler.onEvents(fresh, through);
  }

  /** The peer does not keep to the order of messages: nothing it says on this subscription can be placed. */
  #mistaken(message: string): void {
    this.#revoke?.();
    this.#onEnd({ code: 'UNEXPECTED_MESSAGE', message });
  }
}
