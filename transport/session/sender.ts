import { encodeCompactFrame, FRAME_OVERHEAD_BYTES, TARGET_FRAME_BYTES } from '../compact.ts';
import type { Connection } from '../connection.ts';
import type { SessionCore } from './core.ts';

/** Hands what is in a session's ledger to one connection: from the oldest that the peer lacks, each once. */
export class Sender {
  readonly #core: SessionCore;
  readonly #connection: Connection;
  /** The first seq that this connection was not handed. */
  #nextSeq: number;
  #resent = 0;

  constructor(core: SessionCore, connection: Connection) {
    this.#core = core;
    this.#connection = connection;
    this.#nextSeq = core.ledger.oldestUnackedSeq;
  }

  /** Messages that an earlier connection had carried already and this one carried again. */
  get resent(): number {
    return this.#resent;
  }

  /** Hands over what has not been. What does not leave is sent again after a reconnect. Returns true if anything left. */
  flush(): boolean {
    const before = this.#nextSeq;
    if (before >= this.#core.ledger.nextSeq) return false;
    this.#connection.cork();
    if (this.#core.isCompact) this.#flushCompact();
    else this.#flushEnvelopes();
    this.#connection.uncork();
    this.#core.transmittedSeq = Math.max(this.#core.transmittedSeq, this.#nextSeq);
    return this.#nextSeq > before;
  }

  /** Compact: says what has arrived, and nothing else. */
  sendEmpty(flags: number): void {
    this.#core.acknowledged();
    this.#connection.send(encodeCompactFrame(this.#nextSeq, this.#core.ledger.ack, flags, []));
  }

  #flushEnvelopes(): void {
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) if (!this.#send(frame, 1)) return;
  }

  #flushCompact(): void {
    const { ledger, env } = this.#core;
    const target = Math.min(TARGET_FRAME_BYTES, env.options.maxMessageBytes) - FRAME_OVERHEAD_BYTES;
    for (let first = this.#next(); first !== undefined; first = this.#next()) {
      const messages = [first];
      let bytes = first.length;
      for (;;) {
        const next = ledger.frameAt(this.#nextSeq + messages.length);
        if (next === undefined || bytes + next.length > target) break;
        messages.push(next);
        bytes += next.length;
      }
      this.#core.acknowledged();
      if (!this.#send(encodeCompactFrame(this.#nextSeq, ledger.ack, 0, messages), messages.length)) return;
    }
  }

  /** The next message to hand over. What was confirmed meanwhile need not go. */
  #next(): Uint8Array | undefined {
    const { ledger } = this.#core;
    this.#nextSeq = Math.max(this.#nextSeq, ledger.oldestUnackedSeq);
    return ledger.frameAt(this.#nextSeq);
  }

  #send(frame: Uint8Array, count: number): boolean {
    const firstSeq = this.#nextSeq;
    // Before it is sent: a connection may answer within the call, and the answer may send what follows.
    this.#nextSeq += count;
    if (!this.#connection.send(frame)) {
      this.#nextSeq = firstSeq;
      return false;
    }
    this.#resent += Math.max(0, Math.min(count, this.#core.transmittedSeq - firstSeq));
    return true;
  }
}
