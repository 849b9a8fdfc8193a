import type { CancelTimer, Clock } from './clock.ts';

/** Called when due; `lateMs` says by how much the call comes after the moment that was asked for. */
export type WheelCallback = (lateMs: number) => void;

/** What waits in a wheel. A class of its own rather than a callback where there is one for every session. */
export abstract class WheelEntry {
  /** On the wheel's clock. */
  dueAt = 0;
  /** 0: once. */
  periodMs = 0;
  /** True while it waits. */
  active = false;

  /** Its turn has come; `lateMs` says by how much it comes after the moment that was asked for. */
  abstract onDue(lateMs: number): void;
}

class Callback extends WheelEntry {
  readonly #fn: WheelCallback;

  constructor(fn: WheelCallback) {
    super();
    this.#fn = fn;
  }

  onDue(lateMs: number): void {
    this.#fn(lateMs);
  }
}

/** A heap shorter than this is not worth looking through. */
const COMPACT_FROM = 256;

/**
 * One timer for the coarse deadlines of all sessions of a transport: beats, watchdogs, graces, pending handshakes and
 * expiries. Deadlines are rounded up to a slot, never down, and the platform's timer is armed for the next slot that
 * holds anything. Ten thousand idle sessions cost one timer.
 */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #slotMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #slots = new Map<number, Set<WheelEntry>>();
  /** Slot numbers, a binary min-heap. A slot emptied by cancelling stays in until its turn. */
  readonly #heap: number[] = [];
  #armedFor = Number.POSITIVE_INFINITY;
  #disarm: CancelTimer | undefined;
  #size = 0;

  constructor(clock: Clock, slotMs: number, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#slotMs = slotMs;
    this.#onError = onError;
  }

  /** Registrations that wait for their turn. */
  get size(): number {
    return this.#size;
  }

  after(ms: number, fn: WheelCallback): CancelTimer {
    return this.#addCallback(fn, ms, 0);
  }

  /** The first call comes after `firstMs`, so that sessions which began together do not beat together. */
  every(ms: number, fn: WheelCallback, firstMs: number = ms): CancelTimer {
    return this.#addCallback(fn, firstMs, ms);
  }

  #addCallback(fn: WheelCallback, ms: number, periodMs: number): CancelTimer {
    const entry = new Callback(fn);
    this.add(entry, ms, periodMs);
    return () => this.remove(entry);
  }

  /** Registers an entry that is not active, for `ms` from now and, where `periodMs` is not 0, every so often from then on. */
  add(entry: WheelEntry, ms: number, periodMs: number): void {
    entry.dueAt = this.#clock.now() + ms;
    entry.periodMs = periodMs;
    entry.active = true;
    this.#size += 1;
    this.#insert(entry);
  }

  /** Its turn will not come. Harmless if it is not active. */
  remove(entry: WheelEntry): void {
    if (!entry.active) return;
    entry.active = false;
    this.#size -= 1;
    const slot = this.#slotOf(entry);
    const set = this.#slots.get(slot);
    set?.delete(entry);
    if (set?.size === 0) this.#slots.delete(slot);
    this.#forgetEmptySlots();
    if (this.#slots.size === 0) this.#stop();
  }

  #slotOf(entry: WheelEntry): number {
    return Math.ceil(entry.dueAt / this.#slotMs);
  }

  #insert(entry: WheelEntry): void {
    const slot = this.#slotOf(entry);
    const set = this.#slots.get(slot);
    if (set === undefined) {
      this.#slots.set(slot, new Set([entry]));
      push(this.#heap, slot);
    } else {
      set.add(entry);
    }
    this.#arm();
  }

  /** Slots that were emptied stay in the heap until their turn, but never many of them. */
  #forgetEmptySlots(): void {
    if (this.#heap.length < COMPACT_FROM || this.#heap.length < 2 * this.#slots.size) return;
    this.#heap.length = 0;
    for (const slot of this.#slots.keys()) push(this.#heap, slot);
  }

  #stop(): void {
    this.#disarm?.();
    this.#disarm = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.#heap.length = 0;
  }

  #arm(): void {
    while (this.#heap.length > 0 && !this.#slots.has(this.#heap[0] ?? 0)) pop(this.#heap);
    const next = this.#heap[0];
    if (next === undefined || next === this.#armedFor) return;
    this.#disarm?.();
    this.#armedFor = next;
    this.#disarm = this.#clock.after(Math.max(0, next * this.#slotMs - this.#clock.now()), () => this.#turn());
  }

  #turn(): void {
    this.#disarm = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    // Taken out first: what a callback registers for at once is for the next turn.
    const due: WheelEntry[] = [];
    for (;;) {
      const slot = this.#heap[0];
      if (slot === undefined || slot * this.#slotMs > now) break;
      pop(this.#heap);
      for (const entry of this.#slots.get(slot) ?? []) due.push(entry);
      this.#slots.delete(slot);
    }
    for (const entry of due) if (entry.active) this.#fire(entry, now);
    this.#arm();
  }

  #fire(entry: WheelEntry, now: number): void {
    const lateMs = now - entry.dueAt;
    if (entry.periodMs === 0) {
      entry.active = false;
      this.#size -= 1;
    } else {
      // From now, not from when it was due: a stalled process must not fire a burst afterwards.
      entry.dueAt = lateMs > entry.periodMs ? now + entry.periodMs : entry.dueAt + entry.periodMs;
      this.#insert(entry);
    }
    try {
      entry.onDue(lateMs);
    } catch (error) {
      this.#onError(error);
    }
  }
}

function push(heap: number[], value: number): void {
  let child = heap.push(value) - 1;
  while (child > 0) {
    const parent = (child - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || above <= value) break;
    heap[child] = above;
    child = parent;
  }
  heap[child] = value;
}

function pop(heap: number[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let parent = 0;
  for (;;) {
    let child = 2 * parent + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
    const below = heap[child];
    if (below === undefined || below >= last) break;
    heap[parent] = below;
    parent = child;
  }
  heap[parent] = last;
}
