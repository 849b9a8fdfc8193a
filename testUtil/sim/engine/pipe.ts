import { Phase, type SimEvent } from './eventHeap.ts';
import type { Host } from './host.ts';
import type { Random } from './random.ts';
import type { ConnectionEnd } from './simConnection.ts';

/** Of frames that are under way when another is sent, so many share its arrival. */
const COALESCED = 0.7;

/** Frames that arrive in one turn. */
interface Batch {
  readonly event: SimEvent;
  frames: Uint8Array[];
}

/** How a cut looks from one side. */
export interface CutSide {
  /** Which part of what is under way to this side still arrives, in [0, 1]: a prefix, never a selection. */
  readonly prefix: number;
  /** When this side is told, after that; infinite if never. */
  readonly toldAfterMs: number;
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

  #pending(): Batch[] {
    const { now } = this.host.world;
    this.#underWay = this.#underWay.filter(({ event }) => !event.isCancelled && !isPast(event, now));
    return this.#underWay;
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
    const batch = { frames: [frame] };
    const event = other.host.schedule(arrival, Phase.Io, (host) => {
      if (other.index === undefined) return;
      if (!host.isReplaying) host.world.needTurns(batch.frames.length);
      host.connections[other.index]?.arrive(batch.frames);
    });
    if (event === undefined) return;
    if (this.#underWay.length > 64) this.#pending();
    this.#underWay.push(Object.assign(batch, { event }));
  }
}

/** Due already: a stalled process has it in its kernel, where no cut reaches it. */
function isPast(event: SimEvent, now: number): boolean {
  return event.at <= now;
}

/** A pipe between two processes: in each direction whole frames in order, delayed, never reordered. */
export class Pipe {
  readonly client: PipeSide;
  readonly server: PipeSide;
  readonly random: Random;
  readonly #latencyMs: number;
  readonly #jitterMs: number;
  readonly #onOver: (pipe: Pipe) => void;
  /** Added to every latency until then. */
  slowUntil = 0;
  slowMs = 0;
  isCut = false;

  constructor(client: Host, server: Host, random: Random, onOver: (pipe: Pipe) => void) {
    this.random = random;
    this.#latencyMs = random.chance(0.2) ? random.between(20, 120) : random.between(0.1, 20);
    this.#jitterMs = random.chance(0.5) ? random.between(0, 10) : 0;
    this.#onOver = onOver;
    this.client = new PipeSide(this, client);
    this.server = new PipeSide(this, server);
  }

  /** True while both sides believe in it and nothing has cut it. */
  get isOpen(): boolean {
    return !this.isCut && !this.client.hasClosed && !this.server.hasClosed;
  }

  otherOf(side: PipeSide): PipeSide {
    return side === this.client ? this.server : this.client;
  }

  /** How long the next frame takes. */
  latency(): number {
    const slow = this.client.host.world.now < this.slowUntil ? this.slowMs : 0;
    const jitter = this.#jitterMs === 0 ? 0 : this.random.next() * this.#jitterMs;
    return this.#latencyMs + jitter + slow;
  }

  /** Breaks the pipe; each side gets a prefix of what is under way to it, and may be told late or never. */
  cut(toClient: CutSide, toServer: CutSide): void {
    if (this.isCut) return;
    this.isCut = true;
    const error = new Error('the connection was reset');
    const afterServer = this.server.truncate(toClient.prefix);
    const afterClient = this.client.truncate(toServer.prefix);
    if (Number.isFinite(toClient.toldAfterMs)) this.server.tellOther(afterServer + toClient.toldAfterMs, error);
    if (Number.isFinite(toServer.toldAfterMs)) this.client.tellOther(afterClient + toServer.toldAfterMs, error);
    this.#onOver(this);
  }

  /** Called by a side that has closed. */
  onChange(): void {
    if (this.client.hasClosed && this.server.hasClosed) this.#onOver(this);
  }
}
