import { type CancelTimer, Ok } from '../router/index.ts';
import { nextChunk } from './chunk.ts';
import { LiveSet } from './liveSet.ts';
import type { LocalSource } from './localSource.ts';
import { sentEvents } from './messages.ts';
import type { Position } from './position.ts';
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
    if (this.#all.has(subscriber)) void this.#catchUp(subscriber, subscriber.turn);
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

  async #catchUp(subscriber: Subscriber<E>, turn: number): Promise<void> {
    try {
      await subscriber.writable.waitForWriteReady();
      while (subscriber.turn === turn && subscriber.writable.isWritable()) {
        if (this.#step(subscriber) && this.#join(subscriber)) return;
        await pause(subscriber);
        await subscriber.writable.waitForWriteReady();
      }
    } catch {
      // Its call has ended; or the source cannot be read.
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
  #step(subscriber: Subscriber<E>): boolean {
    const outcome = this.#source.read(subscriber.cursor, this.#options.batch);
    if (outcome.kind === 'gap') {
      this.#reset(subscriber, outcome.head);
      return false;
    }
    const { events, through = subscriber.cursor } = outcome;
    if (events.length === 0) {
      // Not the source's head: another process may have published since.
      subscriber.cursor = through;
      return true;
    }
    const chunk = nextChunk(events, Math.min(this.#options.maxBatchBytes, subscriber.maxBytes));
    const last = chunk.events.at(-1);
    if (last === undefined) return true;
    const wanted = chunk.events.filter(({ event }) => this.#isWanted(subscriber, event));
    subscriber.cursor = last.position;
    if (wanted.length === 0) return false;
    if (chunk.bytes > subscriber.maxBytes) {
      this.#complaints.unsendable(subscriber, last.position, chunk.bytes);
      this.#reset(subscriber, last.position);
      return false;
    }
    subscriber.told = last.position;
    const { epoch, offset } = last.position;
    subscriber.writable.write(Ok({ type: 'events', epoch, through: offset, events: sentEvents(wanted) }));
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

/** Lets others have their turn between two pieces of a long history. */
function pause(subscriber: Subscriber<unknown>): Promise<void> {
  return new Promise((resolve) => {
    subscriber.cancelPause = subscriber.clock.afterIo(() => {
      subscriber.cancelPause = undefined;
      resolve();
    });
  });
}
