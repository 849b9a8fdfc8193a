import { type Credit, creditBytes, encodeCompactFrame, FRAME_OVERHEAD_BYTES, TARGET_FRAME_BYTES } from '../compact.ts';
import type { Connection } from '../connection.ts';
import { ackMessage } from '../message.ts';
import { varintLength } from '../varint.ts';
import { IdentifiedState } from './common.ts';
import type { FrameSink, SessionCore } from './core.ts';

const NO_CREDITS: readonly Credit[] = [];
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
    return this.connection.bufferedBytes;
  }

  /** Sends what is there once this turn has sent all it wants to. */
  flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    // A microtask: what the promises of one turn send leaves together, and nothing waits for the next turn.
    queueMicrotask(() => {
      this.#isFlushing = false;
      if (!this._isConsumed) this.core.env.owner.onFlushDue(this);
    });
  }

  /** Hands over what has not been. What does not leave is sent again after a reconnect. Returns true if anything left. */
  flush(): boolean {
    const { core, connection } = this;
    const before = this.#nextSeq;
    if (before >= core.ledger.nextSeq && !core.owesCredits) return false;
    connection.cork();
    const hasSaid = core.isCompact ? this.#flushCompact(core) : this.#flushEnvelopes();
    connection.uncork();
    core.transmittedSeq = Math.max(core.transmittedSeq, this.#nextSeq);
    return hasSaid;
  }

  /** Says what has arrived, at once, and with it whatever else there is to say. */
  protected acknowledge(flags = 0): void {
    const { core } = this;
    if (!core.isCompact) return this.sendAckMessage();
    const isSaid = this.flush();
    if (isSaid && flags === 0) return;
    core.acknowledged();
    this.connection.send(this.#frame(this.#nextSeq, flags, NO_MESSAGES, NO_CREDITS));
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
    const { ledger, env } = core;
    const target = Math.min(TARGET_FRAME_BYTES, env.options.maxMessageBytes) - FRAME_OVERHEAD_BYTES;
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
      const frame = this.#frame(this.#nextSeq, 0, messages, credits);
      if (!this.#send(frame, messages.length)) return hasSaid;
      hasSaid = true;
      credits = NO_CREDITS;
    }
    if (credits.length === 0) return hasSaid;
    this.#grant(credits);
    return true;
  }

  /** Tells limits in a frame of their own. What does not leave is told on the next connection. */
  #grant(credits: readonly Credit[]): readonly Credit[] {
    if (credits.length === 0) return credits;
    const { core } = this;
    core.acknowledged();
    this.connection.send(this.#frame(this.#nextSeq, 0, NO_MESSAGES, credits));
    return NO_CREDITS;
  }

  /** The next message to hand over. What was confirmed meanwhile need not go. */
  #next(): Uint8Array | undefined {
    const { ledger } = this.core;
    this.#nextSeq = Math.max(this.#nextSeq, ledger.oldestUnackedSeq);
    return ledger.frameAt(this.#nextSeq);
  }

  #send(frame: Uint8Array, count: number): boolean {
    const firstSeq = this.#nextSeq;
    // Before it is sent: a connection may answer within the call, and the answer may send what follows.
    this.#nextSeq += count;
    if (!this.connection.send(frame)) {
      this.#nextSeq = firstSeq;
      return false;
    }
    this.#resent += Math.max(0, Math.min(count, this.core.transmittedSeq - firstSeq));
    return true;
  }
}
