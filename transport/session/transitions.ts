import type { Connection } from '../connection.ts';
import type { IdentifiedState } from './common.ts';
import type { SessionCore } from './core.ts';
import type { SessionEnvironment } from './environment.ts';
import { SessionBackingOff } from './SessionBackingOff.ts';
import { SessionConnected } from './SessionConnected.ts';
import { type Dial, SessionConnecting } from './SessionConnecting.ts';
import { SessionHandshaking } from './SessionHandshaking.ts';
import { SessionNoConnection } from './SessionNoConnection.ts';
import { SessionWaitingForHandshake } from './SessionWaitingForHandshake.ts';

/**
 * The only place where a state is created. Each function is one edge; it takes and returns concrete states, so an edge
 * that is not here does not compile. It consumes the old state and returns the new one's handle, which its caller
 * installs and then enters (`onEnter`). An edge whose target does not carry the connection or the dial ends it.
 *
 *   client   NoConnection → BackingOff → Connecting → Handshaking → Connected
 *            Connecting, Handshaking, Connected → NoConnection
 *   server   WaitingForHandshake → Connected → NoConnection
 *            WaitingForHandshake × NoConnection → Connected, WaitingForHandshake × Connected → Connected
 *
 * @see PROTOCOL.md, "States"
 */

/** A state of a client's session. */
export type ClientSession =
  | SessionNoConnection
  | SessionBackingOff
  | SessionConnecting
  | SessionHandshaking
  | SessionConnected;
/** A state of a server's session. */
export type ServerSession = SessionNoConnection | SessionConnected;
/** A handle of a session, in whichever state. */
export type Session = ClientSession | ServerSession;

/** Entry of the client's graph: a new session. */
export function createNoConnection(core: SessionCore): SessionNoConnection {
  return new SessionNoConnection(core).handle;
}

/** Entry of the server's graph: a connection of nobody yet. */
export function createWaitingForHandshake(
  id: string,
  ordinal: number,
  connection: Connection,
  env: SessionEnvironment,
): SessionWaitingForHandshake {
  return new SessionWaitingForHandshake(id, ordinal, connection, env).handle;
}

/** The client wants to be connected. */
export function noConnectionToBackingOff(old: SessionNoConnection, backoffMs: number): SessionBackingOff {
  return new SessionBackingOff(old.release(), backoffMs).handle;
}

/** The backoff is over. */
export function backingOffToConnecting(old: SessionBackingOff, dial: Dial): SessionConnecting {
  return new SessionConnecting(old.release(), dial).handle;
}

/** The dial succeeded. */
export function connectingToHandshaking(
  old: SessionConnecting,
  connection: Connection,
  metadata: () => unknown,
): SessionHandshaking {
  return new SessionHandshaking(old.release(), connection, metadata).handle;
}

/** The server said yes; the connection is handed on. */
export function handshakingToConnected(old: SessionHandshaking): SessionConnected {
  const { connection } = old;
  return new SessionConnected(old.release(), connection, 'client').handle;
}

/** The dial failed, took too long, or is no longer wanted. */
export function connectingToNoConnection(old: SessionConnecting): SessionNoConnection {
  old.abandon();
  return new SessionNoConnection(old.release()).handle;
}

/** The handshake failed for this connection only. */
export function handshakingToNoConnection(old: SessionHandshaking): SessionNoConnection {
  return disconnected(old);
}

/** The connection is gone; the session stays. Both graphs have this edge. */
export function connectedToNoConnection(old: SessionConnected): SessionNoConnection {
  return disconnected(old);
}

/** A handshake that begins a session. */
export function waitingToConnected(
  pending: SessionWaitingForHandshake,
  core: SessionCore,
  answer: Uint8Array,
): SessionConnected {
  return attach(pending, core, answer);
}

/** A handshake that resumes a session whose connection is gone. */
export function waitingAndNoConnectionToConnected(
  pending: SessionWaitingForHandshake,
  old: SessionNoConnection,
  answer: Uint8Array,
): SessionConnected {
  return attach(pending, old.release(), answer);
}

/** A handshake that resumes a session whose old connection is not known to be dead yet. */
export function waitingAndConnectedToConnected(
  pending: SessionWaitingForHandshake,
  old: SessionConnected,
  answer: Uint8Array,
): SessionConnected {
  const { connection } = old;
  const core = old.release();
  // Not a goodbye: what it was handed would stay in memory while it waits for an answer, and a client may come back again and again.
  connection.terminate();
  return attach(pending, core, answer);
}

function disconnected(old: IdentifiedState & { readonly connection: Connection }): SessionNoConnection {
  const { connection } = old;
  const core = old.release();
  connection.close();
  return new SessionNoConnection(core).handle;
}

function attach(pending: SessionWaitingForHandshake, core: SessionCore, answer: Uint8Array): SessionConnected {
  const { connection, ordinal } = pending;
  pending.exit();
  core.attachedOrdinal = ordinal;
  return new SessionConnected(core, connection, 'server', answer).handle;
}
