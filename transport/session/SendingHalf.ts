import { creditBytes, encodeCompactFrame, FRAME_OVERHEAD_BYTES, TARGET_FRAME_BYTES } from '../compact.ts';
import { type Credit, MOST_CREDIT_BYTES, NO_CREDITS } from '../compactLayout.ts';
import type { Connection } from '../connection.ts';
import { ackMessage } from '../message.ts';
import { varintLength } from '../varint.ts';
import { IdentifiedState } from './common.ts';
import type { SessionCore } from './core.ts';
import type { FrameSink } from './environment.ts';

const NO_MESSAGES: readonly Uint8Array[] = [];

/**
 * What Connected does to send: hands what is in the session's ledger to its connection, from the oldest message that the
 * peer lacks, each once. A base class and not an object of its own: there is one for every session.
 */
export abstract class SendingHalf extends IdentifiedState implements FrameSink {
  readonly connection: Connection;
  /** The first seq that this connection was not handed. */
  #nextSeq: number;
  #resent = 0;
  #isFlushing = false;
  /** What was sent in an earlier turn waits for others' events. */
  #isHeld = false;
  /** Bytes that were accepted since the last flush. */
  #pendingBytes = 0;
  /** Something arrived that must be acknowledged with this turn's end, if nothing else leaves that says so. */
  #owesAck = false;
  /** The connection was seen to hold nothing, and we gave it nothing since: whoever asks need not look at its socket. */
  #isDrained = false;
  /** Where the last compact frame ended; before the first, nowhere. */
  #saidSeq = -1;
  #saidAck = 0;

  constructor(core: SessionCore, connection: Connection) {
    super(core);
    this.connection = connection;
    this.#nextSeq = core.ledger.oldestUnackedSeq;
  }

  /** Messages that an earlier connection had carried already and this one carried again. */
  get resent(): number {
    return this.#resent;
  }

  get bufferedBytes(): number {
    if (this.#isDrained) return 0;
    const bytes = this.connection.bufferedBytes;
    this.#isDrained = bytes === 0;
    return bytes;
  }

  /** Sends what is there once this turn has sent all it wants to, or a frame is full. */
  flushSoon(bytes = 0): void {
    this.#pendingBytes += bytes;
    if (this.#pendingBytes >= TARGET_FRAME_BYTES) {
      // The peer may begin with it while we go on.
      this.#pendingBytes = 0;
      this.core.env.owner.onFlushDue(this);
    } else if (!this.#isFlushing) {
      this.#isFlushing = true;
      return this.core.env.flushes.add(this);
    }
    if (this.#isHeld) this.core.env.flushes.remind();
  }

  /** The turn that sent something is over. */
  onTurnOver(): void {
    this.#isFlushing = false;
    this.#isHeld = false;
    if (!this._isConsumed) this.core.env.owner.onFlushDue(this);
  }

  /** The turn is over, and what it sent waits for others' events. */
  onHeld(): void {
    this.#isHeld = true;
  }

  /** Hands over what has not been. What does not leave is sent again after a reconnect. Returns true if anything left. */
  flush(): boolean {
    const { core, connection } = this;
    this.#pendingBytes = 0;
    const owesAck = this.#owesAck;
    if (this.#nextSeq >= core.ledger.nextSeq && !core.owesCredits && !owesAck) return false;
    this.#owesAck = false;
    connection.cork();
    let hasSaid = core.isCompact ? this.#flushCompact(core) : this.#flushEnvelopes();
    if (owesAck && !hasSaid) hasSaid = this.#acknowledgeAlone();
    connection.uncork();
    this.#isDrained = connection.bufferedBytes === 0;
    return hasSaid;
  }

  /** A peer that sends and does not read is told with whatever leaves next, the next beat at the latest. */
  #acknowledgeAlone(): boolean {
    this.#owesAck = this.connection.bufferedBytes > this.core.env.options.sessionHighWaterBytes;
    if (!this.#owesAck) this.#sayNothing(0);
    return !this.#owesAck;
  }

  /** Says what has arrived, with whatever this turn sends. */
  protected acknowledgeSoon(): void {
    if (!this.core.isCompact) return this.sendAckMessage();
    this.#owesAck = true;
    this.flushSoon();
  }

  /** Says what has arrived, at once, and with it whatever else there is to say. */
  protected acknowledge(flags = 0): void {
    const { core } = this;
    if (!core.isCompact) return this.sendAckMessage();
    const isSaid = this.flush();
    if (!isSaid || flags !== 0) this.#sayNothing(flags);
  }

  /** A frame without messages. */
  #sayNothing(flags: number): void {
    this.core.acknowledged();
    this.#give(this.#frame(this.#nextSeq, flags, NO_MESSAGES, NO_CREDITS));
  }

  /** River has no other way: an acknowledgement is a message, too. */
  protected sendAckMessage(): void {
    try {
      this.core.send(ackMessage());
      this.flush();
    } catch (error) {
      // Only a full buffer can refuse it, and then the peer's silence is about to be judged anyway.
      this.core.env.logger.log('warn', 'could not send a heartbeat', { sessionId: this.core.id, error });
    }
  }

  /** A frame that says only what is new since the last one on this connection. */
  #frame(firstSeq: number, flags: number, messages: readonly Uint8Array[], credits: readonly Credit[]): Uint8Array {
    const { ack } = this.core.ledger;
    const saidAck = this.#saidSeq === firstSeq ? this.#saidAck : undefined;
    this.#saidSeq = firstSeq + messages.length;
    this.#saidAck = ack;
    return encodeCompactFrame(firstSeq, ack, flags, messages, credits, saidAck);
  }

  #flushEnvelopes(): boolean {
    let hasSaid = false;
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) {
      if (!this.#send(frame, 1)) break;
      hasSaid = true;
    }
    return hasSaid;
  }

  #flushCompact(core: SessionCore): boolean {
    const { ledger } = core;
    const target = this.#targetBytes;
    let hasSaid = false;
    let credits = core.takeCredits();
    for (let first = this.#next(); first !== undefined; first = this.#next()) {
      const messages = [first];
      let bytes = first.length + creditBytes(credits);
      // A message that fills a frame alone must not be made too large by what goes with it.
      if (bytes > target) credits = this.#grant(credits);
      for (;;) {
        const next = ledger.frameAt(this.#nextSeq + messages.length);
        if (next === undefined || bytes + next.length > target) break;
        messages.push(next);
        bytes += next.length + varintLength(next.length);
      }
      core.acknowledged();
      const firstSeq = this.#nextSeq;
      const frame = this.#frame(firstSeq, 0, messages, credits);
      if (!this.#send(frame, messages.length)) return hasSaid;
      if (messages.length > 1) ledger.pack(firstSeq, messages, frame);
      hasSaid = true;
      credits = NO_CREDITS;
    }
    if (credits.length === 0) return hasSaid;
    this.#grant(credits);
    return true;
  }

  /** Tells limits in frames of their own. What does not leave is told on the next connection. */
  #grant(credits: readonly Credit[]): readonly Credit[] {
    if (credits.length === 0) return credits;
    const { core } = this;
    core.acknowledged();
    const perFrame = Math.max(1, Math.floor(this.#targetBytes / MOST_CREDIT_BYTES));
    for (let first = 0; first < credits.length; first += perFrame)
      this.#give(this.#frame(this.#nextSeq, 0, NO_MESSAGES, credits.slice(first, first + perFrame)));
    return NO_CREDITS;
  }

  /** What a frame is to hold besides its header, a message that is larger by itself excepted. */
  get #targetBytes(): number {
    return Math.min(TARGET_FRAME_BYTES, this.core.env.options.maxMessageBytes) - FRAME_OVERHEAD_BYTES;
  }

  /** The next message to hand over. What was confirmed meanwhile need not go. */
  #next(): Uint8Array | undefined {
    const { ledger } = this.core;
    this.#nextSeq = Math.max(this.#nextSeq, ledger.oldestUnackedSeq);
    return ledger.frameAt(this.#nextSeq);
  }

  #give(frame: Uint8Array): boolean {
    this.#isDrained = false;
    const isTaken = this.connection.send(frame);
    // Once more: an answer within the call may have had somebody look, before the connection had counted it.
    this.#isDrained = false;
    return isTaken;
  }

  #send(frame: Uint8Array, count: number): boolean {
    const { core } = this;
    const firstSeq = this.#nextSeq;
    const resent = Math.max(0, Math.min(count, core.transmittedSeq - firstSeq));
    // Before it is sent: a connection may answer within the call, and the answer may send what follows.
    this.#nextSeq += count;
    core.transmittedSeq = Math.max(core.transmittedSeq, this.#nextSeq);
    if (!this.#give(frame)) {
      this.#nextSeq = firstSeq;
      return false;
    }
    this.#resent += resent;
    return true;
  }
}
