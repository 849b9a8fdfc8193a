import { Phase, type SimEvent } from './eventHeap.ts';
import type { Host } from './host.ts';
import type { Pipe } from './pipe.ts';
import type { ConnectionEnd } from './simConnection.ts';

/** Of frames that are under way when another is sent, so many share its arrival. */
const COALESCED = 0.7;

/** Frames that arrive in one turn. */
interface Batch {
  readonly event: SimEvent;
  frames: Uint8Array[];
  /** The process has been told of them. */
  isRead: boolean;
}

/** One side of a pipe, and the direction that leads away from it. */
export class PipeSide implements ConnectionEnd {
  readonly host: Host;
  readonly pipe: Pipe;
  /** Number of the connection in its process; undefined until it is open there. */
  index: number | undefined;
  /** True once this side has closed. */
  hasClosed = false;
  /** True while the side's sends fail. */
  failsSends = false;
  #underWay: Batch[] = [];
  #lastArrival = 0;
  #stuck: Uint8Array[] | undefined;

  constructor(pipe: Pipe, host: Host) {
    this.pipe = pipe;
    this.host = host;
  }

  get peer(): Host {
    return this.pipe.otherOf(this).host;
  }

  /** True while frames from the other side have arrived in the process and nobody has read them. */
  get hasUnread(): boolean {
    return this.pipe.otherOf(this).#waitsUnread();
  }

  send(frame: Uint8Array): boolean {
    if (this.failsSends) return false;
    if (this.pipe.isCut) return true; // as with a socket whose peer is gone: nobody knows yet
    if (this.#stuck !== undefined) this.#stuck.push(frame);
    else this.#dispatch(frame);
    return true;
  }

  close(): void {
    if (this.hasClosed) return;
    this.hasClosed = true;
    if (!this.pipe.isCut && this.#stuck === undefined) this.#sayGoodbye();
    this.pipe.onChange();
  }

  ended(): void {
    this.hasClosed = true;
    this.pipe.onChange();
  }

  /** Nothing this side sends arrives before `at`: the other side is not there yet. */
  nothingBefore(at: number): void {
    this.#lastArrival = at;
  }

  /** Nothing gets through from this side any more, as where a route is lost. Nobody is told. */
  block(): void {
    this.#stuck ??= [];
  }

  /** What was held up arrives after all, in order. */
  unblock(): void {
    const stuck = this.#stuck;
    this.#stuck = undefined;
    if (this.pipe.isCut) return;
    for (const frame of stuck ?? []) this.#dispatch(frame);
    if (this.hasClosed && stuck !== undefined) this.#sayGoodbye();
  }

  /** Drops what is under way beyond a prefix; returns when the last of it arrives. */
  truncate(prefix: number): number {
    const waiting = this.#pending();
    const total = waiting.reduce((sum, batch) => sum + batch.frames.length, 0);
    let left = Math.floor(prefix * (total + 1));
    let lastArrival = this.host.world.now;
    for (const batch of waiting) {
      if (left <= 0) batch.event.isCancelled = true;
      else {
        if (batch.frames.length > left) batch.frames.length = left;
        lastArrival = Math.max(lastArrival, batch.event.at);
      }
      left -= batch.frames.length;
    }
    this.#stuck = undefined;
    return lastArrival;
  }

  /** The other end is told that the pipe is over, not before `at`. */
  tellOther(at: number, error: Error | undefined): void {
    const other = this.pipe.otherOf(this);
    const arrival = Math.max(at, this.#lastArrival);
    this.#lastArrival = arrival;
    other.host.schedule(arrival, Phase.Io, (host) => {
      if (other.index !== undefined) host.connections[other.index]?.breakOff(error);
    });
  }

  #sayGoodbye(): void {
    this.tellOther(this.host.world.now + this.pipe.latency(), undefined);
  }

  /** Forgets what is over; returns what a cut still reaches. What is due lies in the other side's kernel already. */
  #pending(): Batch[] {
    const { now } = this.host.world;
    this.#underWay = this.#underWay.filter(({ event, isRead }) => !event.isCancelled && !isRead);
    return this.#underWay.filter(({ event }) => event.at > now);
  }

  #waitsUnread(): boolean {
    const { now } = this.host.world;
    return this.#underWay.some(({ event, isRead }) => !isRead && !event.isCancelled && event.at <= now);
  }

  #dispatch(frame: Uint8Array): void {
    const { now } = this.host.world;
    const arrival = Math.max(this.#lastArrival, now + this.pipe.latency());
    const last = this.#underWay.at(-1);
    const isShared = arrival === this.#lastArrival && last !== undefined && last.event.at > now;
    if (isShared && last.event.at === arrival && this.pipe.random.chance(COALESCED)) {
      last.frames.push(frame);
      return;
    }
    this.#lastArrival = arrival;
    const other = this.pipe.otherOf(this);
    const batch = { frames: [frame], isRead: false };
    const event = other.host.schedule(arrival, Phase.Io, (host) => {
      batch.isRead = true;
      if (other.index === undefined) return;
      if (!host.isReplaying) host.world.needTurns(messagesAtMost(batch.frames));
      host.connections[other.index]?.arrive(batch.frames);
    });
    if (event === undefined) return;
    if (this.#underWay.length > 64) this.#pending();
    this.#underWay.push(Object.assign(batch, { event }));
  }
}

/** A message that somebody awaits has at least so many bytes, */
const LEAST_BYTES = 16;
/** and of those that one program sends in a turn there are at most so many. */
const MOST_IN_FRAME = 40;

/** How many messages frames may hold: the engine does not read them. */
function messagesAtMost(frames: readonly Uint8Array[]): number {
  let count = 0;
  for (const { length } of frames) count += 1 + Math.min(MOST_IN_FRAME, Math.floor(length / LEAST_BYTES));
  return count;
}
