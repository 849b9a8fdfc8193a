import type { CancelTimer, Clock } from './clock.ts';
import type { IdempotencyTerms } from './extensions.ts';
import type { IncomingMessage, OutgoingMessage } from './message.ts';

/** Why a session ended, as its calls are told. */
export interface SessionEnd {
  /** Short and stable, for programs and logs. */
  code:
    | 'grace_elapsed'
    | 'peer_replaced'
    | 'state_mismatch'
    | 'handshake_rejected'
    | 'protocol_violation'
    | 'closed_locally'
    | 'buffer_full'
    | 'retries_exceeded'
    | 'expired'
    /** Of one stream: it needs a peer that keeps outcomes, and this one does not. Nothing of it was sent. */
    | 'idempotency_unsupported';
  /** One sentence for people. */
  message: string;
}

/** The receiving end of one call on one session. Neither method may throw; what they throw is logged and dropped. */
export interface StreamReceiver {
  /** A message of this stream, in order, exactly once. */
  onMessage(message: IncomingMessage): void;
  /** The session ended; nothing follows. Called exactly once, and only while the stream is open. */
  onSessionEnd(end: SessionEnd): void;
  /**
   * A message came that nobody has room for, because this receiver holds so many that were not read. It is lost, and with it
   * the stream: whoever holds messages must cancel it.
   * @param message says what is held
   */
  onOverflow?(message: string): void;
}

/** What came on a stream that was left, and is still held. */
export interface Remains {
  /** A message of it was read: its cost. */
  consumed(cost: number): void;
  /** Nothing is held any more. */
  release(): void;
}

/**
 * A session as the router sees it: one object for the session's whole life, across every connection and state.
 * Messages to a stream go to the receiver that opened it, by one map lookup.
 */
export interface SessionPort {
  readonly id: string;
  /** Our client id. */
  readonly from: string;
  /** The peer's client id. */
  readonly to: string;
  readonly clock: Clock;
  /** False once the session ended. */
  readonly isOpen: boolean;
  /** True while a connection carries this session. */
  readonly isConnected: boolean;
  /** True once the peer accepted any extension: River peers never do. */
  readonly speaksExtensions: boolean;
  /** The largest message that can be sent, its envelope included. */
  readonly maxMessageBytes: number;
  /** Server side: what the handshake's validator returned, live across re-handshakes. */
  readonly metadata: unknown;
  /** Server side: whom the handshake's metadata speaks for, where the server says who that is. */
  readonly principal: string | undefined;
  /** How the server keeps the outcomes of keyed calls; undefined before the first answer, and where it keeps none. */
  readonly idempotency: Readonly<IdempotencyTerms> | undefined;
  /** The number of the next message to be framed. */
  readonly nextSeq: number;
  /** Everything below this number was handed to a connection; nothing else can have reached the peer. */
  readonly transmittedSeq: number;
  /** Client side: the id of a new stream, unique in this session. */
  newStreamId(): string;
  /** Number of open streams. */
  readonly streamCount: number;
  /**
   * Routes the stream's messages to `receiver` until {@link closeStream} or the session's end.
   * @throws {TooManyStreamsError} at `maxStreamsPerSession`
   * @throws {HoldfastError} `STREAM_IN_USE`
   * @throws {SessionClosedError}
   */
  openStream(streamId: string, receiver: StreamReceiver): void;
  /** Forgets the stream. Messages that still arrive for it go nowhere (client) or to the session's opener (server). */
  closeStream(streamId: string): void;
  /**
   * As {@link closeStream}, but what came on the stream is still there: it goes on counting, beyond the session's end as well,
   * until the receiver has read it or lets go of it. Undefined where nothing is.
   */
  leaveStream(streamId: string): Remains | undefined;
  hasStream(streamId: string): boolean;
  /**
   * Sends, or keeps until a connection can. Encodes at once: the payload may change afterwards.
   * @throws {CodecError} what cannot be encoded
   * @throws {MessageTooLargeError}
   * @throws {SessionBufferFullError} not for closing and cancelling messages, which have a reserve of their own
   * @throws {SessionClosedError}
   */
  send(message: OutgoingMessage): void;
  /**
   * Takes back everything of a stream that was never framed because the session has not had its first answer yet.
   * @returns true if the opening message was among it, so that the peer never learns of the call
   */
  unsend(streamId: string): boolean;
  /** Forgets what waits on a stream for the peer's credit: the peer does not want it any more. */
  discard(streamId: string): void;
  /**
   * A message that was held (`IncomingMessage.isHeld`) was read: its cost, and the peer may send as much again.
   * Harmless once the stream is closed.
   */
  consumed(streamId: string, cost: number): void;
  /** False while the session holds more than `sessionHighWaterBytes`, or the stream has no credit. */
  isWriteReady(streamId: string): boolean;
  /** Ends the session with `buffer_full`: there is something that must be said, and no room for it. */
  overflow(message: string): void;
  /** Calls `fn` once, when the stream is write-ready again. Not called when the session or the stream ends. */
  onceWriteReady(streamId: string, fn: () => void): CancelTimer;
  /**
   * Calls `fn` once the peer confirmed everything sent so far, what waits for credit on that stream included. Not called
   * when the session ends.
   */
  onceConfirmed(streamId: string, fn: () => void): CancelTimer;
}

/** Server side: what happens to a message that no open stream waits for. */
export interface StreamOpener {
  /** @param message an opening message, or a late one for a stream that is gone */
  onUnclaimedMessage(port: SessionPort, message: IncomingMessage): void;
  /** A session ended; its open streams have been told. */
  onSessionEnded(port: SessionPort): void;
}
