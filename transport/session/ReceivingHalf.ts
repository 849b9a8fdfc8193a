import type { Codec } from '../../codec/codec.ts';
import { FrameFlags } from '../compactLayout.ts';
import { CompactFrameReader } from '../compactReader.ts';
import type { Connection } from '../connection.ts';
import { LedgerError } from '../errors.ts';
import {
  type IncomingMessage,
  isAckOnly,
  isStreamOpen,
  REHANDSHAKE_STREAM_ID,
  type TransportMessage,
} from '../message.ts';
import { decodeFrame, MalformedFrame } from '../wire.ts';
import type { SessionCore } from './core.ts';
import { SendingHalf } from './SendingHalf.ts';
import type { SessionConnected } from './SessionConnected.ts';

/** After so many messages of one frame what they caused leaves, though more of the frame follows. */
const ANSWERS_AT_ONCE = 32;

/** Beats are seconds apart: who has not read so many answers for so long does not live by the next one. */
const MOST_UNREAD_ANSWERS = 16;

/** Who beats. */
export type Role = 'client' | 'server';

/** What Connected does with what arrives: judges it, confirms, counts, hands it to whom it is for. */
export abstract class ReceivingHalf extends SendingHalf {
  protected readonly role: Role;
  /** A compact frame that was begun and interrupted, and those that came meanwhile. */
  #backlog: (CompactFrameReader | Uint8Array)[] | undefined;
  /** Where the peer's last compact frame ended. */
  #heardSeq = -1;
  #heardAck = 0;
  /** A frame came since liveness asked last. It asks, rather than being told: its object need not be touched for each frame. */
  #heard = false;
  /** To beats, since the connection was last seen to hold nothing. */
  #unreadAnswers = 0;
  /** Client: the connection has held for long enough to be believed in with the next frame. */
  protected isOnProbation = false;

  constructor(core: SessionCore, connection: Connection, role: Role) {
    super(core, connection);
    this.role = role;
  }

  /** The same state, for whoever is told of what happens to it. */
  abstract readonly handle: SessionConnected;

  /** Reads one frame, as a turn of the owner's queue: what its messages cause waits there. */
  receive(frame: Uint8Array): void {
    this.#heard = true;
    this.#judge(frame);
    // Behind what is wrong with the frame: whoever lies is not believed in.
    if (this.isOnProbation) this.#settle();
  }

  #judge(frame: Uint8Array): void {
    const { core } = this;
    const { agreement } = core;
    if (agreement === undefined) return;
    if (core.isCompact) return this.#receiveCompact(agreement.codec, frame);
    const message = decodeFrame(agreement.codec, frame, core.env.options.maxMessageBytes);
    if (message instanceof MalformedFrame) return this.#violated(message);
    message.streamId = core.streamIdOf(message.streamId);
    if (this.#isAcceptable(message)) this.#deliver(message, frame.length);
  }

  #settle(): void {
    this.isOnProbation = false;
    this.core.env.owner.onSettled(this.handle);
  }

  /** For liveness: whether a frame came since it asked last. */
  takeHeard(): boolean {
    const heard = this.#heard;
    this.#heard = false;
    return heard;
  }

  /** Goes on with a frame that was interrupted, or with the next one. */
  readOn(): void {
    const later = this.#backlog ?? [];
    const frame = later.shift();
    this.#backlog = undefined;
    if (frame instanceof CompactFrameReader) this.#read(frame);
    else if (frame !== undefined) this.receive(frame);
    if (later.length > 0) this.#postpone(...later);
  }

  #postpone(...frames: (CompactFrameReader | Uint8Array)[]): void {
    if (this.#backlog === undefined) this.core.env.owner.onFrameInterrupted(this.handle);
    this.#backlog ??= [];
    this.#backlog.push(...frames);
  }

  #violated({ reason }: MalformedFrame): void {
    this.core.env.owner.onViolation(this.handle, `received a frame that is no message: ${reason}`);
  }

  #receiveCompact(codec: Codec, frame: Uint8Array): void {
    const { core } = this;
    const { ledger } = core;
    const { owner, options } = core.env;
    if (this.#backlog !== undefined) return this.#postpone(frame);
    const { maxMessageBytes } = options;
    if (frame.length > maxMessageBytes)
      return this.#violated(new MalformedFrame(`expected at most ${maxMessageBytes} bytes, got ${frame.length}`));
    const reader = CompactFrameReader.open(codec, frame, this.#heardSeq, this.#heardAck);
    if (reader instanceof MalformedFrame) return this.#violated(reader);
    if (reader.credits.length > 0 && core.agreement?.extensions?.credit === undefined)
      return this.#violated(new MalformedFrame('compact: limits of streams, which nobody agreed on'));
    if (ledger.judge(reader.firstSeq) === 'gap')
      return owner.onGap(this.handle, `expected seq ${ledger.ack}, got ${reader.firstSeq}`);
    if (!this.#confirm(reader.ack)) return;
    if (reader.credits.length > 0) core.allow(reader.credits);
    while (reader.hasMore && reader.nextSeq < ledger.ack) {
      const fault = reader.skip();
      if (fault !== undefined) return this.#violated(fault);
    }
    // What brings nothing needs no acknowledgement: two sides would acknowledge each other's for ever.
    if (reader.hasMore) core.unackedBytes += frame.length;
    this.#read(reader);
  }

  #read(reader: CompactFrameReader): void {
    const { core } = this;
    const { ledger, env } = core;
    for (let handled = 1; reader.hasMore; handled++) {
      const message = reader.next();
      if (message instanceof MalformedFrame) return this.#violated(message);
      ledger.advance();
      core.unackedMessages += 1;
      if (!this.#hand(message, reader.messageBytes)) return;
      // Whoever asked first need not wait for the answers to all others: meanwhile both sides work.
      if (handled % ANSWERS_AT_ONCE === 0 && reader.hasMore) this.flush();
      // What it caused comes before the next is looked at, as on River's wire, where each message is a frame. If the session
      // has ended by then, or moved on, the rest of the frame is not read: it comes again.
      if (reader.hasMore && env.queue.hasWaiting) return this.#postpone(reader);
    }
    this.#heardSeq = reader.nextSeq;
    this.#heardAck = reader.ack;
    core.wakeWriters();
    this.#acknowledgeIfDue(core);
    if ((reader.flags & FrameFlags.WantReply) !== 0 && this.role === 'client') this.#answerBeat();
  }

  /** At once; but no more than a few to a peer that beats and reads no answer. */
  #answerBeat(): void {
    if (this.bufferedBytes === 0) this.#unreadAnswers = 0;
    this.#unreadAnswers += 1;
    if (this.#unreadAnswers <= MOST_UNREAD_ANSWERS) this.acknowledge();
  }

  /** Judges sender, receiver, order and ack, in that order; reports what is wrong. */
  #isAcceptable(message: TransportMessage): boolean {
    const { core } = this;
    const { owner } = core.env;
    if (message.from !== core.to) {
      owner.onViolation(
        this.handle,
        `received a message from '${message.from}', expected the session's peer '${core.to}'`,
      );
      return false;
    }
    if (message.to !== core.from) {
      owner.onViolation(this.handle, `received a message to '${message.to}', expected it to be to '${core.from}'`);
      return false;
    }
    const arrival = core.ledger.judge(message.seq);
    if (arrival === 'duplicate') return false;
    if (arrival === 'gap') {
      owner.onGap(this.handle, `expected seq ${core.ledger.ack}, got ${message.seq}`);
      return false;
    }
    return this.#confirm(message.ack);
  }

  #confirm(ack: number): boolean {
    const { core } = this;
    try {
      core.confirm(ack);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      core.env.owner.onViolation(this.handle, `received an impossible ack: ${error.message}`);
      return false;
    }
    return true;
  }

  #deliver(message: TransportMessage, bytes: number): void {
    const { core } = this;
    core.ledger.advance();
    if (isAckOnly(message.controlFlags)) {
      // The server discards answers; the client answers every beat, at once, and starts none.
      if (this.role === 'client') this.sendAckMessage();
    } else {
      core.unackedMessages += 1;
      core.unackedBytes += bytes;
      if (!this.#hand(message, bytes)) return;
      this.#acknowledgeIfDue(core);
    }
    core.wakeWriters();
  }

  /** Returns false if the peer broke the protocol with it. */
  #hand(message: IncomingMessage, bytes: number): boolean {
    const { core } = this;
    const { owner } = core.env;
    if (message.streamId === REHANDSHAKE_STREAM_ID) {
      owner.onRehandshakeMessage(this.handle, message);
      return true;
    }
    const fault =
      this.role === 'client' && isStreamOpen(message.controlFlags)
        ? 'the server opened a stream, as only clients do'
        : core.deliver(message, bytes);
    if (fault !== undefined) owner.onViolation(this.handle, fault);
    return fault === undefined;
  }

  /** Bounds what the peer has to keep by traffic, not by the heartbeat interval. */
  #acknowledgeIfDue(core: SessionCore): void {
    const { ackAfterMessages, ackAfterBytes } = core.env.options;
    if (core.unackedMessages >= ackAfterMessages || core.unackedBytes >= ackAfterBytes) this.acknowledgeSoon();
  }
}
