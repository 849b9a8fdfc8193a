import type { Clock } from '../../../../../router/index.ts';
import type { TopicClient } from '../../../../../watch/attempt.ts';
import type { TopicMessage } from '../../../../../watch/messages.ts';
import { createMirror, type Mirror } from '../../../../../watch/mirror.ts';
import type { Position } from '../../../../../watch/position.ts';
import { BoardEvent } from './board.ts';
import { CountedSource } from './countedSource.ts';

const RETRY_MS = 500;
const KEPT_EVENTS = 20;

/** Fills a mirror with what a topic upstream says, as an application would do it by the messages of a subscription. */
export class Relay {
  readonly mirror: Mirror<BoardEvent>;
  readonly source: CountedSource<BoardEvent>;
  readonly #client: TopicClient<BoardEvent>;
  readonly #clock: Clock;
  readonly #onFault: (error: unknown) => void;
  #since: Position | undefined;
  #cancelRetry: () => void = () => undefined;
  #endAttempt: () => void = () => undefined;
  #isStopped = false;

  /** @param onFault told what the mirror refuses: the topic said something that cannot follow what it said before */
  constructor(client: TopicClient<BoardEvent>, clock: Clock, onFault: (error: unknown) => void) {
    this.#client = client;
    this.#onFault = onFault;
    this.#clock = clock;
    this.mirror = createMirror({ event: BoardEvent, keep: { events: KEPT_EVENTS }, clock });
    this.source = new CountedSource<BoardEvent>(this.mirror);
    this.#begin();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelRetry();
    this.#endAttempt();
  }

  #begin(): void {
    this.#follow().catch(this.#onFault);
  }

  async #follow(): Promise<void> {
    const request = this.#since === undefined ? {} : { since: this.#since };
    const { resReadable } = this.#client.subscribe(request);
    this.#endAttempt = () => resReadable.break();
    for await (const result of resReadable) {
      if (this.#isStopped || !result.ok) break;
      this.#take(result.payload);
    }
    if (this.#isStopped) return;
    this.#cancelRetry = this.#clock.after(RETRY_MS * (1 + this.#clock.random()), () => this.#begin());
  }

  #take(message: TopicMessage<BoardEvent>): void {
    switch (message.type) {
      case 'ready':
        this.#since = message.position;
        if (!message.isRecovered) this.mirror.reset(message.position);
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
