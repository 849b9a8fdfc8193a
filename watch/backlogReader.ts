import type { ErrorPayload, ReadableIterator } from '../router/index.ts';
import type { TopicClient } from './attempt.ts';
import { OriginError, showPosition } from './errors.ts';
import { hasReached } from './hasReached.ts';
import type { TopicMessage } from './messages.ts';
import type { Position } from './position.ts';
import type { Positioned, ReadOutcome } from './source.ts';

/** One subscription that is read as its reader comes for more, and not as it arrives. */
export class BacklogReader<E> {
  readonly #break: () => void;
  readonly #messages: ReadableIterator<TopicMessage<E>, ErrorPayload>;
  /** What has come beyond what was asked for. */
  #rest: Positioned<E>[] = [];
  /** Everything up to here was given out. */
  #position: Position;
  /** Everything up to here has come. */
  #heard: Position;
  /** Where the history ended when the origin answered. */
  #end: Position | undefined;
  #hasGiven = false;
  #isOver = false;
  #failure: Error | undefined;

  constructor(client: TopicClient<E>, after: Position) {
    const { resReadable } = client.subscribe({ since: after, from: 'oldest' });
    this.#break = () => resReadable.break();
    this.#messages = resReadable[Symbol.asyncIterator]();
    this.#position = after;
    this.#heard = after;
  }

  get position(): Position {
    return this.#position;
  }

  /** Whether to read on here. Who has come to the end asks anew: only an answer says where that is by then. */
  get hasMore(): boolean {
    return !this.#isOver && (!hasReached(this.#position, this.#heard) || !this.#isAtEnd);
  }

  get #isAtEnd(): boolean {
    return this.#end !== undefined && hasReached(this.#heard, this.#end);
  }

  /**
   * Reads on. Rejects with {@link OriginError}, or with what it was closed with.
   * @returns undefined if it has ended after it had given something: another subscription knows how that goes on
   */
  async read(limit: number): Promise<ReadOutcome<E> | undefined> {
    for (;;) {
      if (this.#rest.length > 0) return this.#give(limit);
      if (this.#isAtEnd || !hasReached(this.#position, this.#heard)) return this.#pass();
      const message = await this.#next();
      if (message === undefined) return undefined;
      const gap = this.#hear(message);
      if (gap !== undefined || this.#isOver) return gap;
    }
  }

  /** Ends it. A read under way rejects with `error`. */
  close(error?: Error): void {
    this.#isOver = true;
    this.#failure ??= error;
    this.#break();
  }

  #give(limit: number): ReadOutcome<E> {
    const events = this.#rest.slice(0, limit);
    this.#rest = this.#rest.slice(limit);
    this.#position = events.at(-1)?.position ?? this.#position;
    this.#hasGiven = true;
    return { kind: 'events', events };
  }

  #pass(): ReadOutcome<E> {
    this.#position = this.#heard;
    this.#hasGiven = true;
    return { kind: 'events', events: [], through: this.#heard };
  }

  /** @returns undefined after the last, if something was given before */
  async #next(): Promise<TopicMessage<E> | undefined> {
    const item = await this.#messages.next();
    if (this.#failure !== undefined) throw this.#failure;
    const result = item.done === true ? undefined : item.value;
    if (result?.ok === true) return result.payload;
    this.#isOver = true;
    if (this.#hasGiven) return undefined;
    const why = result?.payload.message ?? 'the subscription ended';
    throw new OriginError(`expected what follows ${showPosition(this.#position)}, got none: ${why}`);
  }

  /** @returns the gap, if that is what it says */
  #hear(message: TopicMessage<E>): ReadOutcome<E> | undefined {
    if (this.#end === undefined && message.type !== 'ready') this.#mistaken(`expected ready, got ${message.type}`);
    switch (message.type) {
      case 'ready':
        this.#end = message.head ?? message.position;
        if (message.isRecovered) return undefined;
        return this.#gap(message.position);
      case 'reset':
        if (!this.#hasGiven) return this.#gap(message.position);
        this.#isOver = true; // where it began it was told what the history holds; here it is asked for that
        return undefined;
      case 'progress':
        this.#moveTo(message.position);
        return undefined;
      case 'events': {
        const { epoch } = message;
        const { offset: heard } = this.#heard;
        this.#moveTo({ epoch, offset: message.through });
        for (const { offset, event } of message.events)
          if (offset > heard) this.#rest.push({ position: { epoch, offset }, event });
        return undefined;
      }
      default:
        return message satisfies never;
    }
  }

  #gap(oldest: Position): ReadOutcome<E> {
    this.#isOver = true;
    const end = this.#end;
    return { kind: 'gap', oldest, head: end !== undefined && hasReached(end, oldest) ? end : oldest };
  }

  #moveTo(through: Position): void {
    if (!hasReached(through, this.#heard)) this.#mistaken('expected a position behind the last');
    this.#heard = through;
  }

  #mistaken(message: string): never {
    this.#isOver = true;
    throw new OriginError(message);
  }
}
