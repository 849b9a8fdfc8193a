import type { Host } from '../engine/host.ts';
import { Spending } from './spending.ts';

/** Which side of a session. */
export type Role = 'client' | 'server';

/** The timing that both sides of a run were given, and what was agreed on. */
export interface Terms {
  readonly graceMs: number;
  readonly handshakeTimeoutMs: number;
  readonly connectionTimeoutMs: number;
  /** The longer of the two sides' intervals. */
  readonly heartbeatMs: number;
  readonly misses: number;
  /** The server's own interval. */
  readonly beatMs: number;
  readonly maxBackoffMs: number;
  readonly maxJitterMs: number;
  readonly maxBufferBytes: number;
  /** True if sessions outlive their connections. */
  readonly resumes: boolean;
  /** What may be sent on a stream from its start, in cost; infinite where `credit` is not spoken. */
  readonly windowBytes: number;
  /** True if both sides offer and accept the `resume` extension: counters alone cannot tell everything. */
  readonly hasResume: boolean;
  /** True if programs tell of everything they send, and no send fails: then it is known what was given a seq. */
  readonly tellsAll: boolean;
}

/** At most so many messages that nobody told of wait for a connection: closes of streams, and acknowledgements. */
const MAX_UNTOLD = 16;
/** Where programs tell of everything: beats on a connection whose end is not known yet. */
const MAX_UNTOLD_BEATS = 2;

/** One side of one session, in one image of a process: what its application and the wire saw of it. */
export class Half {
  readonly sessionId: string;
  readonly role: Role;
  readonly host: Host;
  readonly createdAt: number;
  /** Numbers of the messages that `send` accepted, in order, and that the application got. */
  readonly tx: number[] = [];
  readonly rx: number[] = [];
  /** The same stream by stream: with `credit` one may overtake another. */
  readonly txOf = new Map<string, number[]>();
  readonly rxOf = new Map<string, number[]>();
  readonly spending: Spending;
  /** Messages without a number that `send` accepted, where the program tells. */
  closes = 0;
  /** How many of {@link tx}, and of {@link closes}, have been on the wire. */
  txFramed = 0;
  closesFramed = 0;
  /** The next seq that was not on the wire yet. */
  sentNext = 0;
  /** The next seq that has not arrived, in order. */
  arrivedNext = 0;
  /** The highest ack that has arrived. */
  peerAck = 0;
  /** Seq after the last message on the wire that was no beat. */
  lastMessageNext = 0;
  /** Frames of an established connection that were sent. */
  frames = 0;
  /** Bytes of numbered messages that are not acknowledged, by seq; closes and beats have room of their own. */
  readonly sizes = new Map<number, number>();
  unackedBytes = 0;
  /** The connection that carries it. */
  connection: number | undefined;
  /** The latest connection that ever carried it. */
  newest = -1;
  /** Connections on which it was accepted and that have not ended. */
  readonly attached = new Set<number>();
  lastArrivalAt: number;
  /** Since when it has had no connection, as its own side sees it; undefined while it has one. */
  disconnectedAt: number | undefined;
  everConnected = false;
  endedAt: number | undefined;
  endCode: string | undefined;
  /** Client: the server's half it was connected to last, and what it said in its last request. */
  boundTo: Half | undefined;
  nextExpected = 0;
  nextSent = 0;
  /** The latest handle that an event carried: it must be useless after the next. */
  handle: object | undefined;
  readonly openCalls = new Set<string>();
  /** This image was restored from an earlier state. */
  isRestored = false;
  /** The peer is no honest one. */
  isWithLiar = false;

  constructor(sessionId: string, role: Role, host: Host, windowBytes: number) {
    this.spending = new Spending(windowBytes);
    this.sessionId = sessionId;
    this.role = role;
    this.host = host;
    this.createdAt = host.now;
    this.disconnectedAt = host.now;
    this.lastArrivalAt = host.now;
  }

  /** True while its process runs and it has not ended. */
  get isAlive(): boolean {
    return this.endedAt === undefined && this.host.isAlive;
  }

  get name(): string {
    return `session ${this.sessionId} on ${this.host.name}`;
  }

  /** `send` accepted it. */
  sent(streamId: string, tag: number): void {
    this.tx.push(tag);
    listOf(this.txOf, streamId).push(tag);
  }

  /** The application got it. */
  received(streamId: string, tag: number): void {
    this.rx.push(tag);
    listOf(this.rxOf, streamId).push(tag);
  }

  /** At most so many messages have been given a seq. */
  nextSeqAtMost({ tellsAll }: Terms): number {
    const waiting = this.tx.length - this.txFramed;
    if (tellsAll) return this.sentNext + waiting + this.closes - this.closesFramed + MAX_UNTOLD_BEATS;
    return this.tx.length === 0 ? Number.POSITIVE_INFINITY : this.sentNext + waiting + MAX_UNTOLD;
  }

  /** A message is on the wire for the first time. */
  framed(seq: number, bytes: number, isNumbered: boolean, isBeat: boolean): void {
    this.sentNext = seq + 1;
    if (isBeat) return;
    this.lastMessageNext = seq + 1;
    if (!isNumbered) {
      this.closesFramed += 1;
      return;
    }
    this.txFramed += 1;
    this.sizes.set(seq, bytes);
    this.unackedBytes += bytes;
  }

  /** The peer confirmed everything below `ack`. */
  confirm(ack: number): void {
    for (; this.peerAck < ack; this.peerAck++) {
      this.unackedBytes -= this.sizes.get(this.peerAck) ?? 0;
      this.sizes.delete(this.peerAck);
    }
  }
}

function listOf(lists: Map<string, number[]>, streamId: string): number[] {
  let list = lists.get(streamId);
  if (list === undefined) {
    list = [];
    lists.set(streamId, list);
  }
  return list;
}

/** How much later than otherwise a process may act, because it was stalled in between. */
export function slackOf(host: Host, terms: Terms, from: number): number {
  const { now } = host.world;
  let slack = 0;
  for (const pause of host.pauses) {
    const overlap = Math.min(pause.to, now) - Math.max(pause.from, from);
    // A tick that comes late gives the peer the time of one handshake more.
    if (overlap >= 0) slack += overlap + terms.handshakeTimeoutMs + 100;
  }
  return slack;
}

/** A stall takes away at most so many intervals: it hides the half of one, and after it two ticks may follow closely. */
const INTERVALS_PER_STALL = 1.5;

/**
 * How much less a side has heard nothing than it must before it gives a connection up, in milliseconds; 0 if long enough.
 * Its own stalls are no silence.
 */
export function missingSilence(half: Half, intervalMs: number, misses: number): number {
  const { pauses, world } = half.host;
  let silence = world.now - half.lastArrivalAt;
  let stalls = 0;
  for (const { from, to } of pauses) {
    if (to > half.lastArrivalAt - intervalMs) stalls += 1;
    silence -= Math.max(0, Math.min(to, world.now) - Math.max(from, half.lastArrivalAt));
  }
  return Math.max(0, (misses - INTERVALS_PER_STALL * stalls) * intervalMs - silence);
}
