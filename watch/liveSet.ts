import { broadcast, Ok } from '../router/index.ts';
import type { Chunk } from './chunk.ts';
import { sentEvents, type TopicMessage } from './messages.ts';
import type { Position } from './position.ts';
import type { Subscriber, TopicWritable } from './subscriber.ts';
import type { Complaints } from './unsendable.ts';

type Members<E> = Map<TopicWritable<E>, Subscriber<E>>;

/** Subscribers that are at the head: they share the encoding of what comes next. */
export class LiveSet<E> {
  readonly #complaints: Complaints;
  #maxBytes = Number.POSITIVE_INFINITY;
  /** Those of all events. */
  readonly #unfiltered: Members<E> = new Map();
  /** Those of some keys; and again by each of these. */
  readonly #filtered: Members<E> = new Map();
  readonly #byKey = new Map<string, Members<E>>();

  constructor(complaints: Complaints) {
    this.#complaints = complaints;
  }

  /** What weighs no more can be sent to every member. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  get size(): number {
    return this.#unfiltered.size + this.#filtered.size;
  }

  get hasFiltered(): boolean {
    return this.#filtered.size > 0;
  }

  /** A snapshot. */
  members(): Subscriber<E>[] {
    return [...this.#unfiltered.values(), ...this.#filtered.values()];
  }

  add(subscriber: Subscriber<E>): void {
    const { writable, keys, maxBytes } = subscriber;
    // Not raised when one leaves, but when all have left: smaller messages than need be do no harm.
    this.#maxBytes = this.size === 0 ? maxBytes : Math.min(this.#maxBytes, maxBytes);
    if (keys === undefined) {
      this.#unfiltered.set(writable, subscriber);
      return;
    }
    this.#filtered.set(writable, subscriber);
    for (const key of keys) {
      const members = this.#byKey.get(key);
      if (members === undefined) this.#byKey.set(key, new Map([[writable, subscriber]]));
      else members.set(writable, subscriber);
    }
  }

  delete({ writable, keys }: Subscriber<E>): boolean {
    if (keys === undefined) return this.#unfiltered.delete(writable);
    for (const key of keys) {
      const members = this.#byKey.get(key);
      members?.delete(writable);
      if (members?.size === 0) this.#byKey.delete(key);
    }
    return this.#filtered.delete(writable);
  }

  /**
   * Sends events to whom they are for. Whoever cannot be sent them is reset.
   * @param chunk one event, if it weighs more than {@link maxBytes}
   * @param keyOf undefined where events have no keys
   * @returns those that are too far behind now; they are no members any more
   */
  sendEvents(chunk: Chunk<E>, through: Position, keyOf: ((event: E) => string) | undefined): Subscriber<E>[] {
    const { epoch, offset } = through;
    const { bytes } = chunk;
    const events = sentEvents(chunk.events);
    const all: TopicMessage<E> = { type: 'events', epoch, through: offset, events };
    const behind = this.#sendOrReset(this.#unfiltered, all, through, bytes);
    if (keyOf === undefined || this.#filtered.size === 0) return behind;
    for (const sent of events) {
      const members = this.#byKey.get(keyOf(sent.event));
      if (members === undefined) continue;
      const message: TopicMessage<E> = { type: 'events', epoch, through: sent.offset, events: [sent] };
      behind.push(...this.#sendOrReset(members, message, { epoch, offset: sent.offset }, bytes));
    }
    return behind;
  }

  #sendOrReset(members: Members<E>, message: TopicMessage<E>, through: Position, bytes: number): Subscriber<E>[] {
    if (bytes <= this.#maxBytes) return this.#send(members, message, through);
    const able: Members<E> = new Map();
    const unable: Members<E> = new Map();
    for (const [writable, subscriber] of members)
      (bytes <= subscriber.maxBytes ? able : unable).set(writable, subscriber);
    for (const subscriber of unable.values()) this.#complaints.unsendable(subscriber, through, bytes);
    const reset: TopicMessage<E> = { type: 'reset', position: through };
    return [...this.#send(able, message, through), ...this.#send(unable, reset, through)];
  }

  /** Tells all, or only those with a filter, how far everything was looked at, unless they know. */
  sendProgress(position: Position, who: 'all' | 'filtered'): Subscriber<E>[] {
    const members: Members<E> = new Map();
    for (const group of who === 'all' ? [this.#unfiltered, this.#filtered] : [this.#filtered]) {
      for (const [writable, subscriber] of group) {
        if (subscriber.told.offset < position.offset) members.set(writable, subscriber);
      }
    }
    return this.#send(members, { type: 'progress', position }, position);
  }

  sendReset(position: Position): Subscriber<E>[] {
    const message: TopicMessage<E> = { type: 'reset', position };
    return [...this.#send(this.#unfiltered, message, position), ...this.#send(this.#filtered, message, position)];
  }

  #send(members: Members<E>, message: TopicMessage<E>, through: Position): Subscriber<E>[] {
    if (members.size === 0) return [];
    for (const subscriber of members.values()) subscriber.sentThrough(through);
    const behind: Subscriber<E>[] = [];
    for (const writable of broadcast(members.keys(), Ok(message))) {
      const subscriber = members.get(writable); // absent if writing has ended its call
      if (subscriber === undefined) continue;
      this.delete(subscriber);
      behind.push(subscriber);
    }
    return behind;
  }
}
