import type { Host } from './host.ts';

/**
 * What is due at one moment runs in this order, as in an event loop: timers, then what has arrived, then what waited for
 * that.
 */
export const Phase = { World: 0, EarlyIo: 1, Timer: 2, Io: 3, AfterIo: 4 } as const;

/** Something that happens to a process: its argument, so that it can be done again to a copy of that process. */
export type Input = (host: Host) => void;

/** Something that happens to no process. What takes several turns of the microtask queue is waited for. */
export type WorldEvent = () => Promise<void> | undefined;

/** Something that will happen. */
export interface SimEvent {
  at: number;
  phase: number;
  /** Breaks ties: what was scheduled first comes first. */
  order: number;
  /** The process it happens to; undefined for what happens to the world. */
  readonly host: Host | undefined;
  readonly input: Input | WorldEvent;
  isCancelled: boolean;
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.phase === b.phase ? a.order < b.order : a.phase < b.phase;
}

/** Events by time, phase and order: a binary min-heap. */
export class EventHeap {
  readonly #events: SimEvent[] = [];

  get size(): number {
    return this.#events.length;
  }

  get first(): SimEvent | undefined {
    return this.#events[0];
  }

  push(event: SimEvent): void {
    const events = this.#events;
    let child = events.push(event) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      const above = events[parent];
      if (above === undefined || !isBefore(event, above)) break;
      events[child] = above;
      child = parent;
    }
    events[child] = event;
  }

  pop(): SimEvent | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    let parent = 0;
    for (;;) {
      const left = events[2 * parent + 1];
      if (left === undefined) break;
      const right = events[2 * parent + 2];
      const isRight = right !== undefined && isBefore(right, left);
      const below = isRight ? right : left;
      if (!isBefore(below, last)) break;
      events[parent] = below;
      parent = 2 * parent + (isRight ? 2 : 1);
    }
    events[parent] = last;
    return first;
  }
}
