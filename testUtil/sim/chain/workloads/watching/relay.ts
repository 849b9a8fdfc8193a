import type { Clock } from '../../../../../router/index.ts';
import type { TopicClient } from '../../../../../watch/attempt.ts';
import type { TopicMessage } from '../../../../../watch/messages.ts';
import { createMirror, type Mirror } from '../../../../../watch/mirror.ts';
import type { Position } from '../../../../../watch/position.ts';
import { CountedSource } from '../countedSource.ts';
import { BoardEvent, type LoadedBoard } from './board.ts';

const RETRY_MS = 500;

/** What passes a board on: its changes, under the positions that they have upstream. */
export interface BoardRelay {
  readonly source: CountedSource<BoardEvent>;
  /** Before its readers end. */
  stop(): void;
  close(): void;
  behind(owner: LoadedBoard): string | undefined;
}

/** What is said of a mirror that should have come to its topic's head; undefined if it has. */
export function faultOfHead(head: Position, owner: Position): string | undefined {
  if (head.epoch === owner.epoch && head.offset === owner.offset) return undefined;
  return `its mirror stands at ${head.offset} of epoch ${head.epoch}, its owner at ${owner.offset} of epoch ${owner.epoch}`;
}

/** How a relay begins. */
export interface RelayOptions {
  /** What its process had seen already when it died; the mirror goes on from there. */
  readonly since?: Position | undefined;
  readonly keptEvents: number;
  /** Told whenever a subscription begins. */
  readonly onReady?: ((isRecovered: boolean) => void) | undefined;
  /** Told what the mirror refuses: the topic said something that cannot follow what it said before. */
  readonly onFault: (error: unknown) => void;
}

/** Fills a mirror with what a topic upstream says, as an application would do it by the messages of a subscription. */
export class Relay implements BoardRelay {
  readonly mirror: Mirror<BoardEvent>;
  readonly source: CountedSource<BoardEvent>;
  readonly #client: TopicClient<BoardEvent>;
  readonly #clock: Clock;
  readonly #options: RelayOptions;
  #since: Position | undefined;
  #cancelRetry: () => void = () => undefined;
  #endAttempt: () => void = () => undefined;
  #isStopped = false;

  constructor(client: TopicClient<BoardEvent>, clock: Clock, options: RelayOptions) {
    const { since, keptEvents } = options;
    this.#client = client;
    this.#clock = clock;
    this.#options = options;
    this.mirror = createMirror({ event: BoardEvent, keep: { events: keptEvents }, clock });
    this.source = new CountedSource<BoardEvent>(this.mirror);
    this.#since = since;
    if (since !== undefined) this.mirror.reset(since);
    this.#begin();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelRetry();
    this.#endAttempt();
  }

  close(): void {
    this.mirror.close();
  }

  /** What is wrong when everything should have arrived, if anything. */
  behind({ position }: LoadedBoard): string | undefined {
    return faultOfHead(this.mirror.head(), position);
  }

  #begin(): void {
    this.#follow().catch(this.#options.onFault);
  }

  async #follow(): Promise<void> {
    const request = this.#since === undefined ? {} : { since: this.#since };
    const { resReadable } = this.#client.subscribe(request);
    this.#endAttempt = () => resReadable.break();
    for await (const result of resReadable) {
      if (this.#isStopped || !result.ok) break;
      if (this.#isBefore(result.payload)) break;
      this.#take(result.payload);
    }
    if (this.#isStopped) return;
    this.#cancelRetry = this.#clock.after(RETRY_MS * (1 + this.#clock.random()), () => this.#begin());
  }

  /** Whoever is asked has been started again, and does not know yet what it said before: it will. */
  #isBefore(message: TopicMessage<BoardEvent>): boolean {
    if (message.type !== 'ready' || this.#since === undefined) return false;
    const { epoch, offset } = message.position;
    return epoch === this.#since.epoch && offset < this.#since.offset;
  }

  #take(message: TopicMessage<BoardEvent>): void {
    switch (message.type) {
      case 'ready':
        this.#since = message.position;
        if (!message.isRecovered) this.mirror.reset(message.position);
        this.#options.onReady?.(message.isRecovered);
        return;
      case 'reset':
        this.#since = message.position;
        return this.mirror.reset(message.position);
      case 'progress':
        this.#since = message.position;
        return this.mirror.append([], message.position);
      case 'events': {
        const { epoch, through, events } = message;
        this.#since = { epoch, offset: through };
        return this.mirror.append(
          events.map(({ offset, event }) => ({ position: { epoch, offset }, event })),
          this.#since,
        );
      }
      default:
        return message satisfies never;
    }
  }
}
