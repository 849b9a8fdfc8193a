import type { Connection } from '../connection.ts';
import type { IncomingMessage } from '../message.ts';
import type { SessionCore } from './core.ts';
import type { SendingHalf } from './SendingHalf.ts';
import type { SessionBackingOff } from './SessionBackingOff.ts';
import type { SessionConnected } from './SessionConnected.ts';
import type { SessionConnecting } from './SessionConnecting.ts';
import type { SessionHandshaking } from './SessionHandshaking.ts';
import type { SessionNoConnection } from './SessionNoConnection.ts';
import type { SessionWaitingForHandshake } from './SessionWaitingForHandshake.ts';

/** States in which the grace period runs. */
export type DisconnectedSession = SessionNoConnection | SessionBackingOff | SessionConnecting | SessionHandshaking;

/** Events of states that both graphs have. */
export interface SharedEvents {
  /** The peer stayed away longer than the grace period. */
  onGraceElapsed(session: DisconnectedSession): void;
  onConnectionClosed(session: SessionHandshaking | SessionConnected, error: unknown): void;
  /** What one of a frame's messages caused waits; the rest of the frame is to be read after it (`readOn`). */
  onFrameInterrupted(session: SessionConnected): void;
  /** A frame that cannot be true: the session cannot go on. */
  onViolation(session: SessionConnected, reason: string): void;
  /** A message is missing: only the connection is at fault. */
  onGap(session: SessionConnected, reason: string): void;
  /** Nothing was heard for as long as liveness allows. */
  onPeerSilent(session: SessionConnected): void;
  onRehandshakeMessage(session: SessionConnected, message: IncomingMessage): void;
  /** The turn that sent something is over. */
  onFlushDue(session: SendingHalf): void;
  /** A session has no room for what it must say. It may be in any state. */
  onOverflow(core: SessionCore, message: string): void;
}

/** Events of the states that only a client has. */
export interface ClientEvents {
  onBackoffElapsed(session: SessionBackingOff): void;
  onDialed(session: SessionConnecting, connection: Connection): void;
  /** Refused, broken, or not done within `connectionTimeoutMs`. */
  onDialFailed(session: SessionConnecting, error: unknown): void;
  /** The application's metadata is ready to be sent. */
  onMetadataReady(session: SessionHandshaking, metadata: unknown): void;
  onMetadataFailed(session: SessionHandshaking, error: unknown): void;
  onHandshakeFrame(session: SessionHandshaking, frame: Uint8Array): void;
  onHandshakeTimeout(session: SessionHandshaking): void;
  /** Something was heard after it had been Connected for a heartbeat interval. */
  onSettled(session: SessionConnected): void;
}

/** Events of the states that only a server has. */
export interface ServerEvents {
  /** The first frame of a connection that was accepted, or one too many. */
  onPendingFrame(session: SessionWaitingForHandshake, frame: Uint8Array): void;
  onPendingClosed(session: SessionWaitingForHandshake): void;
  onPendingTimeout(session: SessionWaitingForHandshake): void;
  /** The credential ends soon. */
  onExpiryNear(session: SessionConnected): void;
  /** No valid answer to a re-handshake in time. */
  onRehandshakeOverdue(session: SessionConnected): void;
}

/**
 * The narrow interface through which states report: one method an event, with the state it happened to as the first
 * argument. (Only frames that arrive in Connected, the most frequent event by far, the state posts to the owner's queue itself.)
 * States never change themselves; the owner decides and calls a transition. Whoever implements it runs
 * events to completion, one after the other, and drops an event whose state is consumed by its turn.
 */
export interface SessionOwner extends SharedEvents, ClientEvents, ServerEvents {}

function never(): never {
  throw new Error('this event belongs to the other graph');
}

/** For a server: its states raise none of these. */
export const noClientEvents: ClientEvents = {
  onBackoffElapsed: never,
  onDialed: never,
  onDialFailed: never,
  onMetadataReady: never,
  onMetadataFailed: never,
  onHandshakeFrame: never,
  onHandshakeTimeout: never,
  onSettled: never,
};

/** For a client: its states raise none of these. */
export const noServerEvents: ServerEvents = {
  onPendingFrame: never,
  onPendingClosed: never,
  onPendingTimeout: never,
  onExpiryNear: never,
  onRehandshakeOverdue: never,
};
