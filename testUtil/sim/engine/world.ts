import { EventHeap, type Input, Phase, type SimEvent, type WorldEvent } from './eventHeap.ts';
import type { Host } from './host.ts';
import { Trace } from './trace.ts';

/** What did not hold. */
export interface Violation {
  /** Number of the invariant, or `crash`: the library threw where it must not. */
  readonly invariant: string;
  readonly message: string;
  /** Milliseconds of virtual time. */
  readonly time: number;
}

/** A run that makes more events than this many in a millisecond, on average, never comes to its end. */
const MAX_EVENTS_PER_MS = 3;
const MIN_EVENT_LIMIT = 100_000;

/**
 * Virtual time and everything that happens in it.
 *
 * The transport is made of callbacks, the router of promises. Both see what they see in a real event loop: one event runs,
 * then microtasks run until none is left, then comes the next event. Nothing tells a program that no microtask is left
 * without giving up its turn, so after each event the loop awaits a fixed number of times, and more often the more frames
 * the event delivered ({@link TURNS}, {@link TURNS_PER_FRAME}). Each `await` is one turn of the microtask queue, which is
 * first in, first out by specification: the order is the same in every runtime. Were the number too small, what is left
 * would still run in the same order every time, only mingled with the next event.
 */
export class World {
  now = 1_000;
  readonly trace: Trace;
  readonly hosts: Host[] = [];
  violation: Violation | undefined;
  /** Called after each event of a process, microtasks included. */
  afterEvent: (host: Host) => void = () => undefined;
  readonly #heap = new EventHeap();
  readonly #turns: number;
  #order = 0;
  #events = 0;
  #extraTurns = 0;

  /** @param moreTurns of the microtask queue after each event than it takes: changes nothing, or the number is too small */
  constructor(trace: Trace = new Trace(false), moreTurns = 0) {
    this.trace = trace;
    this.#turns = TURNS + moreTurns;
  }

  /** Events that have run. */
  get eventCount(): number {
    return this.#events;
  }

  /** Something will happen to `host`; to the world where it is undefined. */
  schedule(at: number, phase: number, host: Host | undefined, input: Input | WorldEvent): SimEvent {
    const event: SimEvent = {
      at: Math.max(at, this.now),
      phase,
      order: this.#order++,
      host,
      input,
      isCancelled: false,
    };
    this.#heap.push(event);
    return event;
  }

  /** Something will happen that no process sees. */
  later(ms: number, act: WorldEvent): SimEvent {
    return this.schedule(this.now + ms, Phase.World, undefined, act);
  }

  /** Puts back an event that a process could not take while it was stalled. */
  reschedule(event: SimEvent, phase: number): void {
    event.at = this.now;
    event.phase = phase;
    event.order = this.#order++;
    this.#heap.push(event);
  }

  /** An event delivers so many frames: their readers need more turns. */
  needTurns(frames: number): void {
    this.#extraTurns += frames * TURNS_PER_FRAME;
  }

  /** Something does not hold: the run ends. The first violation counts. */
  fail(invariant: string, message: string): void {
    if (this.violation !== undefined) return;
    this.violation = { invariant, message, time: this.now };
    this.note('oracle', `invariant ${invariant} is broken: ${message}`);
  }

  /** Adds a line to the trace, where somebody reads it. */
  note(who: string, what: string): void {
    if (this.trace.isReadable) this.trace.line(this.now, who, what);
  }

  /** Runs everything that is due until `time`. */
  async runUntil(time: number): Promise<void> {
    for (;;) {
      const next = this.#heap.first;
      if (this.violation !== undefined) return;
      if (next === undefined || next.at > time) break;
      this.#heap.pop();
      if (next.isCancelled || next.host?.isAlive === false) continue;
      this.now = next.at;
      if (next.host?.isPaused === true) {
        next.host.hold(next);
        continue;
      }
      const work = this.#begin(next);
      if (work !== undefined) await work;
      const turns = this.#turns + this.#extraTurns;
      this.#extraTurns = 0;
      next.host?.drained(turns);
      for (let turn = 0; turn < turns; turn++) await undefined;
      if (next.host !== undefined) this.afterEvent(next.host);
    }
    this.now = Math.max(this.now, time);
  }

  #begin({ at, phase, host, input }: SimEvent): Promise<void> | undefined {
    this.#events += 1;
    if (this.#events > Math.max(MIN_EVENT_LIMIT, this.now * MAX_EVENTS_PER_MS)) {
      this.fail('10', `${this.#events} events in ${Math.round(this.now)} ms: the run never comes to rest`);
      return undefined;
    }
    this.trace.mix(at);
    this.trace.mix(phase + 8 * (host?.number ?? -1));
    if (host === undefined) return (input as WorldEvent)(); // what happens to the world takes no argument
    try {
      host.take(input);
    } catch (error) {
      this.fail('crash', `${host.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    return undefined;
  }
}

/** Turns of the microtask queue after an event. The built-in programs run the same with 5 as with 200; a test compares. */
export const TURNS = 12;
/** A reader of a stream goes through so many turns for each value. */
export const TURNS_PER_FRAME = 6;
