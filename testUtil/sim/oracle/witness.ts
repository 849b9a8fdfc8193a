import type { Host } from '../engine/host.ts';
import type { HostWitness } from '../engine/hostTypes.ts';
import type { CompactFrame } from './compactWire.ts';
import { Half, type Role } from './half.ts';
import type { Oracle } from './oracle.ts';
import { newConnection, type SeenConnection } from './seenConnection.ts';
import { describeSaid, isBeat, type Said } from './wire.ts';

/** What is known of a message that is sent. */
interface SentMessage {
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly isNumbered: boolean;
  readonly streamId: string;
}

/**
 * What one image of a process saw and did, on the wire. An image that lives through an earlier life tells its own witness,
 * so that this has the memory the image has; nothing is judged until it is live.
 */
export class WireWitness implements HostWitness {
  readonly oracle: Oracle;
  readonly host: Host;
  readonly role: Role;
  /** The sessions of this image, ended ones too; the latest of an id. */
  readonly halves = new Map<string, Half>();
  lastDialAt: number | undefined;
  /** The connection whose frame or end the process is being told of, within one event. */
  protected telling: number | undefined;
  protected readonly touched = new Set<Half>();
  readonly #connections: SeenConnection[] = [];
  readonly #doubts: { half: Half; invariant: string; message: string }[] = [];
  readonly #attachedNow = new Set<Half>();
  /** What had arrived before this event, where something has in it. */
  readonly #arrivedFrom = new Map<Half, number>();

  constructor(oracle: Oracle, host: Host, role: Role) {
    this.oracle = oracle;
    this.host = host;
    this.role = role;
  }

  /** False while the image only remembers. */
  get isJudged(): boolean {
    return !this.host.isReplaying;
  }

  dialStarted(): void {
    this.lastDialAt = this.host.now;
    if (this.isJudged) this.oracle.note(this.host, 'dials');
  }

  connectionOpened(index: number): void {
    this.#connections[index] = newConnection();
  }

  connectionEnds(index: number, isTold: boolean): void {
    if (isTold) this.telling = index;
    const seen = this.#connections[index];
    if (seen === undefined) return;
    seen.hasEnded = true;
    if (this.isJudged) this.oracle.note(this.host, `connection ${index} ends`);
    if (seen.sessionId !== undefined) this.halves.get(seen.sessionId)?.attached.delete(index);
  }

  frameSent(index: number, frame: Uint8Array): void {
    const seen = this.#connections[index];
    const said = this.oracle.wire.read(frame, seen?.isCompact === true ? seen.said : undefined);
    if (this.isJudged) this.#trace(index, said, frame.length, '→');
    if (said.kind === 'accepted') this.#attach(index, said, seen?.nextExpected ?? 0);
    else if (said.kind === 'request') this.#remember(said);
    else if (said.kind === 'message') this.#messageSent(this.#speaking(index, said.ack), said, frame.length, false);
    else if (said.kind === 'frame') this.#frameSent(index, said);
  }

  #frameSent(index: number, { firstSeq, ack, messages }: CompactFrame): void {
    const half = this.#speaking(index, ack);
    for (const [i, message] of messages.entries())
      this.#messageSent(half, { ...message, seq: firstSeq + i, ack }, message.bytes, true);
    if (half !== undefined && firstSeq > half.sentNext)
      this.doubt(half, '4', `${half.name} sends from ${firstSeq}, but ${half.sentNext} was never sent`);
  }

  frameArrives(index: number, frame: Uint8Array): void {
    this.telling = index;
    const seen = this.#connections[index];
    const said = this.oracle.wire.read(frame, seen?.isCompact === true ? seen.heard : undefined);
    if (this.isJudged) this.#trace(index, said, frame.length, seen?.hasEnded === true ? '✗' : '←');
    if (seen === undefined) return;
    if (seen.hasEnded) return this.#heardLate(seen);
    if (said.kind === 'accepted') this.#attach(index, said, said.nextExpected ?? 0);
    else if (said.kind === 'request') seen.nextExpected = said.nextExpected;
    else if (said.kind === 'message') this.#arrives(seen, said.seq, 1, said.ack);
    else if (said.kind === 'frame') this.#frameArrives(seen, said);
  }

  /** The event is over, microtasks included. */
  settle(): void {
    this.telling = undefined;
    for (const half of this.touched) this.judge(half);
    for (const { half, invariant, message } of this.#doubts) {
      // A half that was taken back is judged when its client is connected again: invariant 3.
      if (!half.isRestored && !this.oracle.isBlind(half.sessionId)) this.fail(invariant, message);
    }
    this.#doubts.length = 0;
    this.touched.clear();
    this.#attachedNow.clear();
    this.#arrivedFrom.clear();
  }

  /** Looks at a session after an event that concerned it. */
  protected judge(half: Half): void {
    if (half.attached.size > 1) this.doubt(half, '6', `${half.name} has ${half.attached.size} live connections`);
  }

  /**
   * Something about a session does not hold, unless nothing is known of it any more, which the end of the event shows:
   * what goes on after the loss of a half that nobody could notice contradicts everything.
   */
  protected doubt(half: Half, invariant: string, message: string): void {
    if (this.isJudged) this.#doubts.push({ half, invariant, message });
  }

  protected fail(invariant: string, message: string): void {
    if (this.isJudged) this.oracle.fail(invariant, message);
  }

  /** The session with that id, or a new one where it has ended or never was. */
  protected halfOf(sessionId: string): Half {
    const known = this.halves.get(sessionId);
    if (known !== undefined && known.endedAt === undefined) return known;
    const half = new Half(sessionId, this.role, this.host, this.oracle.terms.windowBytes);
    this.halves.set(sessionId, half);
    if (this.isJudged) this.oracle.adopt(half);
    return half;
  }

  /** The session that a connection carries or carried. */
  protected sessionOf(index: number): string | undefined {
    return this.#connections[index]?.sessionId;
  }

  /** @param peerExpects what the other side says it expects next: everything below has arrived there */
  #attach(index: number, { sessionId, isCompact }: Extract<Said, { kind: 'accepted' }>, peerExpects: number): void {
    const seen = this.#connections[index];
    if (seen === undefined) return;
    seen.isCompact = isCompact;
    seen.sessionId = sessionId;
    const half = this.halfOf(sessionId);
    // Connections are numbered in the order in which they came: the latest dial is the one its client believes in.
    if (this.role === 'server' && index < half.newest)
      this.doubt(half, '6', `connection ${index} took ${half.name} from connection ${half.newest}, a later one`);
    half.newest = Math.max(half.newest, index);
    half.connection = index;
    half.attached.add(index);
    half.lastArrivalAt = this.host.now;
    half.confirm(Math.min(peerExpects, half.sentNext));
    this.touched.add(half);
    this.#attachedNow.add(half);
  }

  #remember({ sessionId, nextExpected, nextSent }: Extract<Said, { kind: 'request' }>): void {
    const half = this.halves.get(sessionId);
    if (half === undefined) return;
    half.nextExpected = nextExpected;
    half.nextSent = nextSent;
    // Both numbers are claims like any other: nothing was discarded that did not arrive, nothing is expected that was not sent.
    if (nextExpected > half.arrivedNext)
      this.doubt(
        half,
        '4',
        `${half.name} expects ${nextExpected} in its handshake, but only ${half.arrivedNext} arrived`,
      );
    if (nextSent > half.peerAck)
      this.doubt(half, '4', `${half.name} offers ${nextSent} as its oldest, but only ${half.peerAck} was acknowledged`);
  }

  /** The session that sends a frame, which says what has arrived. */
  #speaking(index: number, ack: number): Half | undefined {
    const sessionId = this.#connections[index]?.sessionId;
    const half = sessionId === undefined ? undefined : this.halves.get(sessionId);
    if (half === undefined) {
      this.fail('4', `a message on connection ${index} before its handshake was answered`);
      return undefined;
    }
    half.frames += 1;
    if (half.connection !== index)
      this.doubt(half, '6', `${half.name} sends on connection ${index}, not on ${half.connection}`);
    if (ack > half.arrivedNext)
      this.doubt(half, '4', `${half.name} acknowledges ${ack}, but only ${half.arrivedNext} arrived`);
    return half;
  }

  #messageSent(
    half: Half | undefined,
    { seq, ack, flags, isNumbered, streamId }: SentMessage,
    bytes: number,
    isCompact: boolean,
  ): void {
    if (half === undefined) return;
    if (seq > half.sentNext) this.doubt(half, '4', `${half.name} sends ${seq}, but ${half.sentNext} was never sent`);
    if (seq < half.sentNext) return;
    // What was made while a connection stood carries the ack of that turn; what had waited may carry an older one.
    const least = this.#arrivedFrom.get(half) ?? half.arrivedNext;
    if (!this.#attachedNow.has(half) && ack < least)
      this.doubt(half, '4', `${half.name} acknowledges ${ack} in a fresh message, but ${least} arrived`);
    half.framed(seq, bytes, isNumbered, isBeat(flags));
    const fault = isCompact ? half.spending.spend(streamId, flags, bytes) : undefined;
    if (fault !== undefined) this.doubt(half, '10', `${half.name} ${fault}`);
    if (half.unackedBytes > this.oracle.terms.maxBufferBytes)
      this.doubt(half, '10', `${half.name} keeps ${half.unackedBytes} bytes, more than its bound`);
  }

  #frameArrives(seen: SeenConnection, { firstSeq, ack, credits, messages }: CompactFrame): void {
    this.#arrives(seen, firstSeq, messages.length, ack);
    const half = seen.sessionId === undefined ? undefined : this.halves.get(seen.sessionId);
    for (const { streamId, limit } of credits) half?.spending.allow(streamId, limit);
  }

  #arrives({ sessionId }: SeenConnection, firstSeq: number, count: number, ack: number): void {
    const half = sessionId === undefined ? undefined : this.halves.get(sessionId);
    if (half === undefined || half.endedAt !== undefined) return;
    half.lastArrivalAt = this.host.now;
    // What has come before is not looked at again; what comes too early is not believed.
    if (firstSeq > half.arrivedNext || (count > 0 && firstSeq + count <= half.arrivedNext)) return;
    if (!this.#arrivedFrom.has(half)) this.#arrivedFrom.set(half, half.arrivedNext);
    half.arrivedNext = Math.max(half.arrivedNext, firstSeq + count);
    half.confirm(Math.min(ack, half.sentNext));
  }

  #heardLate(seen: SeenConnection): void {
    if (!seen.heardLate && this.isJudged) this.oracle.onLateFrame();
    seen.heardLate = true;
  }

  #trace(index: number, said: Said, bytes: number, sign: string): void {
    const { trace } = this.oracle.world;
    trace.mix(bytes);
    if (said.kind === 'message') trace.mix(said.seq * 65_536 + said.ack);
    else if (said.kind === 'frame') trace.mix(said.firstSeq * 65_536 + said.ack);
    if (!trace.isReadable) return;
    this.oracle.note(this.host, `${sign} connection ${index}: ${describeSaid(said)}`);
  }
}
