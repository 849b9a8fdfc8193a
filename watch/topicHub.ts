import { type CancelTimer, Ok } from '../router/index.ts';
import { nextChunk } from './chunk.ts';
import { hasReached } from './hasReached.ts';
import { LiveSet } from './liveSet.ts';
import type { LocalSource } from './localSource.ts';
import { loopTurnsOf } from './loopTurns.ts';
import { sentEvents } from './messages.ts';
import type { Position } from './position.ts';
import type { ReadOutcome } from './source.ts';
import type { Subscriber } from './subscriber.ts';
import { Complaints } from './unsendable.ts';

/** How a topic is served. */
export interface HubOptions<E> {
  /** At most so many events in one message. */
  readonly batch: number;
  /** At most so many bytes of events in one message, unless it is one event. */
  readonly maxBatchBytes: number;
  readonly key: ((event: E) => string) | undefined;
  readonly progressMs: number;
}

/**
 * Serves a source to its subscribers. Nothing is queued for any of them: who cannot take more just now is left out, and
 * reads the history when it can; who finds its place in the history gone is reset.
 */
export class TopicHub<E> {
  readonly #source: LocalSource<E>;
  readonly #options: HubOptions<E>;
  readonly #all = new Set<Subscriber<E>>();
  readonly #complaints = new Complaints();
  readonly #live = new LiveSet<E>(this.#complaints);
  /** Everything up to here went to those that are live; meaningless without any. */
  #cursor: Position;
  #stopListening: (() => void) | undefined;
  #isFlushing = false;
  #isScheduled = false;
  #cancelProgress: CancelTimer | undefined;

  constructor(source: LocalSource<E>, options: HubOptions<E>) {
    this.#source = source;
    this.#options = options;
    this.#cursor = source.head();
  }

  /** Those that are served, a snapshot. */
  subscribers(): Subscriber<E>[] {
    return [...this.#all];
  }

  /** Serves a subscriber from its cursor on. */
  add(subscriber: Subscriber<E>): void {
    this.#stopListening ??= this.#source.onAppend(() => this.#schedule());
    this.#all.add(subscriber);
    this.resume(subscriber);
  }

  remove(subscriber: Subscriber<E>): void {
    this.#all.delete(subscriber);
    this.pause(subscriber);
    if (this.#all.size > 0) return;
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  /** Sends it nothing until {@link resume}. */
  pause(subscriber: Subscriber<E>): void {
    subscriber.interrupt();
    this.#leave(subscriber);
  }

  resume(subscriber: Subscriber<E>): void {
    if (this.#all.has(subscriber)) this.#catchUp(subscriber, subscriber.turn);
  }

  #leave(subscriber: Subscriber<E>): void {
    this.#live.delete(subscriber);
    if (this.#live.hasFiltered) return;
    this.#cancelProgress?.();
    this.#cancelProgress = undefined;
  }

  /** Several events that are published in one turn of the loop go out together. */
  #schedule(): void {
    if (this.#isScheduled || this.#live.size === 0) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  /** Brings everybody who is live to the head. */
  #flush(): void {
    if (this.#isFlushing) return; // whoever publishes while we send is heard of by the loop that is running
    this.#isFlushing = true;
    try {
      while (this.#live.size > 0 && this.#flushBatch());
    } catch {
      // The source cannot be read, or a key not be told: nobody knows any more who has heard what.
      for (const subscriber of this.#live.members()) this.#giveUp(subscriber);
    } finally {
      this.#isFlushing = false;
    }
  }

  /** @returns whether there may be more */
  #flushBatch(): boolean {
    const outcome = this.#source.read(this.#cursor, this.#options.batch);
    if (outcome.kind === 'gap') {
      this.#sendReset(outcome.head);
      return true;
    }
    if (outcome.events.length === 0) {
      this.#atHead(outcome.through);
      return false;
    }
    for (let rest = outcome.events; rest.length > 0 && this.#live.size > 0; ) {
      const chunk = nextChunk(rest, Math.min(this.#options.maxBatchBytes, this.#live.maxBytes));
      const last = chunk.events.at(-1);
      if (last === undefined) return false;
      this.#cursor = last.position;
      this.#fellBehind(this.#live.sendEvents(chunk, last.position, this.#options.key));
      rest = rest.slice(chunk.events.length);
    }
    return true;
  }

  #sendReset(position: Position): void {
    this.#cursor = position;
    this.#fellBehind(this.#live.sendReset(position));
  }

  /** The source may have moved on without an event, as a mirror does; and those with a filter are told now and then. */
  #atHead(through = this.#cursor): void {
    if (through.offset > this.#cursor.offset) {
      this.#cursor = through;
      this.#fellBehind(this.#live.sendProgress(through, 'all'));
    } else if (this.#live.hasFiltered) this.#armProgress();
  }

  #armProgress(): void {
    if (this.#cancelProgress !== undefined) return;
    const [anyone] = this.#all;
    this.#cancelProgress = anyone?.clock.after(this.#options.progressMs, () => {
      this.#cancelProgress = undefined;
      this.#fellBehind(this.#live.sendProgress(this.#cursor, 'filtered'));
    });
  }

  #fellBehind(subscribers: readonly Subscriber<E>[]): void {
    for (const subscriber of subscribers) {
      this.#leave(subscriber);
      this.resume(subscriber);
    }
  }

  /** Has it wait until it can take more, and then for its turn: others are served in between. */
  #catchUp(subscriber: Subscriber<E>, turn: number): void {
    const isOver = () => subscriber.turn !== turn || !subscriber.writable.isWritable();
    const step = () => {
      subscriber.cancelTurn = undefined;
      try {
        // Not if others of its session have used the room since.
        if (subscriber.canTakeMore()) {
          const outcome = this.#source.read(subscriber.cursor, this.#options.batch);
          if (outcome.kind === 'gap' && subscriber.wantsAll && this.#source.readFromOrigin !== undefined)
            return void this.#catchUpFromOrigin(subscriber, turn);
          if (this.#step(subscriber, outcome)) {
            if (this.#isAhead(subscriber)) return void this.#awaitSource(subscriber, turn);
            if (this.#join(subscriber)) return;
          }
        }
        if (!isOver()) this.#catchUp(subscriber, turn);
      } catch {
        // Its call has ended; or the source cannot be read.
        if (subscriber.turn === turn) this.#giveUp(subscriber);
      }
    };
    subscriber.writable.waitForWriteReady().then(
      () => {
        if (!isOver()) subscriber.cancelTurn = loopTurnsOf(subscriber.clock).add(subscriber.client, step);
      },
      () => {
        if (subscriber.turn === turn) this.#giveUp(subscriber);
      },
    );
  }

  /** What a source in this process does not hold, its origin may. For mirrors: a watch loads at less cost. */
  async #catchUpFromOrigin(subscriber: Subscriber<E>, turn: number): Promise<void> {
    try {
      const outcome = await this.#source.readFromOrigin?.(subscriber.cursor, this.#options.batch);
      if (outcome === undefined || subscriber.turn !== turn || !subscriber.writable.isWritable()) return;
      if (this.#step(subscriber, outcome) && this.#isAhead(subscriber)) void this.#awaitSource(subscriber, turn);
      else this.#catchUp(subscriber, turn);
    } catch {
      if (subscriber.turn === turn) this.#giveUp(subscriber);
    }
  }

  /** The origin, or another process that follows it, has told it more than has come here. */
  #isAhead({ cursor, wantsAll }: Subscriber<E>): boolean {
    return wantsAll && this.#source.readFromOrigin !== undefined && !hasReached(this.#source.head(), cursor);
  }

  async #awaitSource(subscriber: Subscriber<E>, turn: number): Promise<void> {
    const controller = new AbortController();
    subscriber.cancelTurn = () => controller.abort();
    try {
      await this.#source.reached(subscriber.cursor, { signal: controller.signal });
      if (subscriber.turn === turn) this.#catchUp(subscriber, turn);
    } catch {
      if (subscriber.turn === turn) this.#giveUp(subscriber);
    }
  }

  /** Ends a subscription that cannot go on: whoever it belongs to begins another, since its position. */
  #giveUp(subscriber: Subscriber<E>): void {
    this.remove(subscriber);
    subscriber.writable.close();
  }

  /**
   * Sends a subscriber one message, or nothing where all was filtered.
   * @returns whether it has come to the head
   */
  #step(subscriber: Subscriber<E>, outcome: ReadOutcome<E>): boolean {
    if (outcome.kind === 'gap') {
      this.#reset(subscriber, outcome.head);
      return false;
    }
    const { events, through = subscriber.cursor } = outcome;
    const end = events.at(-1)?.position;
    if (end === undefined) {
      // Not the source's head: another process may have published since.
      subscriber.cursor = through;
      return true;
    }
    const wanted = events.filter(({ event }) => this.#isWanted(subscriber, event));
    const chunk = nextChunk(wanted, Math.min(this.#options.maxBatchBytes, subscriber.maxBytes));
    const last = chunk.events.at(-1)?.position;
    const position = last === undefined || chunk.events.length === wanted.length ? end : last;
    subscriber.cursor = position;
    if (last === undefined) return false;
    if (chunk.bytes > subscriber.maxBytes) {
      this.#complaints.unsendable(subscriber, last, chunk.bytes);
      this.#reset(subscriber, position);
      return false;
    }
    subscriber.told = position;
    const { epoch, offset } = position;
    subscriber.writable.write(Ok({ type: 'events', epoch, through: offset, events: sentEvents(chunk.events) }));
    return false;
  }

  #isWanted({ keys }: Subscriber<E>, event: E): boolean {
    return keys === undefined || (this.#options.key !== undefined && keys.has(this.#options.key(event)));
  }

  #reset(subscriber: Subscriber<E>, position: Position): void {
    subscriber.sentThrough(position);
    subscriber.writable.write(Ok({ type: 'reset', position }));
  }

  /**
   * Makes one that has come to the head live.
   * @returns false if it has to read on
   */
  #join(subscriber: Subscriber<E>): boolean {
    this.#flush(); // those that are live already must stand where this one does
    if (!this.#all.has(subscriber)) return true;
    const { cursor } = subscriber;
    if (this.#live.size === 0) this.#cursor = cursor;
    // Something was published while they were sent what they lacked, by whoever that made do so.
    if (cursor.epoch !== this.#cursor.epoch || cursor.offset !== this.#cursor.offset) return false;
    this.#live.add(subscriber);
    if (subscriber.told.offset < cursor.offset) {
      subscriber.told = cursor;
      subscriber.writable.write(Ok({ type: 'progress', position: cursor }));
    }
    return true;
  }
}
