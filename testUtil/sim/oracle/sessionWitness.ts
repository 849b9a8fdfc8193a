import { faultOfEnd } from './ends.ts';
import { type Half, missingSilence, slackOf } from './half.ts';
import { isRevoked } from './handles.ts';
import { WireWitness } from './witness.ts';

/** Timers of the wheel are late by up to a slot of 20 ms; a tick of it may be rounded, too. */
export const TICK_MS = 25;

/** What the event of a protocol error says. */
export interface SeenProtocolError {
  readonly type: string;
  readonly message: string;
  readonly code?: string | undefined;
  readonly peer?: string | undefined;
  readonly sessionId?: string | undefined;
}

/**
 * What an application sees of its sessions: their beginnings, states and ends, the messages it sent and got, the calls it
 * has open. Programs report here; see `Program`.
 */
export class SessionWitness extends WireWitness {
  /** Sessions that ended in this event: their calls must have been told. */
  readonly #ended = new Set<Half>();
  /** Since when the client has had no session that works, or wanted one. */
  idleSince: number | undefined;
  /** The application closes, or ends sessions by itself. */
  isClosing = false;

  /** The client wants to be connected, from now on. */
  wants(): void {
    for (const half of this.halves.values())
      if (half.endedAt === undefined && half.disconnectedAt === undefined) return;
    this.idleSince ??= this.host.now;
  }

  /** The client was refused for good, or closes: it need not try. */
  gaveUp(): void {
    this.idleSince = undefined;
  }

  sessionCreated(sessionId: string, peer: string): void {
    const known = this.halves.get(sessionId);
    if (known !== undefined && this.role === 'client')
      this.doubt(known, '3', `${known.name} begins again under its old id`);
    this.halfOf(sessionId).isWithLiar = this.oracle.isLiar(peer);
    if (this.role === 'client') this.wants();
    if (this.isJudged) this.oracle.event(this.host, `session ${sessionId} created`);
  }

  /** @param handle what the event carried: it must be useless once the session has moved on */
  sessionMoved(sessionId: string, state: string, handle: object): void {
    const half = this.halves.get(sessionId);
    if (half === undefined) return this.fail('5', `session ${sessionId} is ${state} but was never created`);
    if (half.endedAt !== undefined) return this.doubt(half, '5', `${half.name} is ${state} after its end`);
    if (this.isJudged) this.oracle.event(this.host, `session ${sessionId} is ${state}`);
    this.#expectStale(half);
    half.handle = handle;
    if (state === 'Connected') this.#connected(half);
    else if (half.disconnectedAt === undefined) this.#disconnected(half);
  }

  sessionClosed(sessionId: string, code: string, message: string): void {
    const half = this.halves.get(sessionId);
    if (half === undefined || half.endedAt !== undefined)
      return this.fail('3', `session ${sessionId} ends (${code}) without being open`);
    if (this.isJudged) this.oracle.event(this.host, `session ${sessionId} ended: ${code}: ${message}`);
    this.#expectStale(half);
    half.endedAt = this.host.now;
    half.endCode = code;
    this.#ended.add(half);
    if (this.role === 'client') this.wants();
    if (this.isClosing && this.idleSince !== undefined) this.idleSince = this.host.now;
    if (!this.isJudged || this.isClosing || half.isWithLiar) return;
    const fault = faultOfEnd(this.oracle, half, code);
    if (fault !== undefined)
      this.doubt(half, fault.invariant, `${half.name} ended (${code}: ${message}), but ${fault.message}`);
  }

  protocolError({ type, code, message, peer, sessionId }: SeenProtocolError): void {
    if (!this.isJudged || this.oracle.isLiar(peer)) return;
    this.oracle.note(this.host, `protocol error ${type} ${code ?? ''}: ${message}`);
    const isViolation = type === 'invalid_message' || /^(MALFORMED|PROTOCOL)/.test(code ?? '');
    if (isViolation) this.contradicted(sessionId ?? '', '16', `counts a violation: ${message}`);
  }

  /** The library logged an error: it has caught something that must not happen. */
  internalError(message: string, error: unknown): void {
    if (error === undefined) return; // something that ended, not something that was thrown
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.fail(text.includes('StaleHandleError') ? '7' : 'crash', `${this.host.name}: ${message}: ${text}`);
  }

  /** A program saw something of a session that cannot be. */
  contradicted(sessionId: string, invariant: string, message: string): void {
    const half = this.halves.get(sessionId);
    if (half === undefined) this.fail(invariant, `${this.host.name}: ${message}`);
    else this.doubt(half, invariant, `${half.name}: ${message}`);
  }

  sent(sessionId: string, streamId: string, tag: number): void {
    if (this.isJudged) this.host.hasSent();
    this.halves.get(sessionId)?.sent(streamId, tag);
  }

  /** A message without a number was accepted. */
  closeSent(sessionId: string): void {
    const half = this.halves.get(sessionId);
    if (half !== undefined) half.closes += 1;
  }

  received(sessionId: string, streamId: string, tag: number): void {
    const half = this.halves.get(sessionId);
    if (half === undefined) return this.fail('5', `a message for session ${sessionId}, which was never created`);
    if (half.endedAt !== undefined) return this.doubt(half, '5', `${half.name} got a message after its end`);
    if (this.telling !== half.connection)
      this.doubt(
        half,
        '6',
        `${half.name} got a message that came on connection ${this.telling}, but ${half.connection} carries it`,
      );
    half.received(streamId, tag);
    const fault = this.isJudged ? this.oracle.delivered(half, streamId, tag) : undefined;
    if (fault !== undefined) this.doubt(half, '1', `${half.name} got ${fault}`);
  }

  callOpened(sessionId: string, call: string): void {
    this.halves.get(sessionId)?.openCalls.add(call);
  }

  /** The call ended by itself. */
  callDone(sessionId: string, call: string): void {
    this.halves.get(sessionId)?.openCalls.delete(call);
  }

  /** The call learned of the end of its session. */
  callTold(sessionId: string, call: string): void {
    if (this.halves.get(sessionId)?.openCalls.delete(call) === false)
      this.fail('5', `call ${call} on session ${sessionId} was told twice of the end, or after its own`);
  }

  override settle(): void {
    for (const half of this.#ended) {
      half.attached.clear();
      const [call] = half.openCalls;
      if (call !== undefined && this.host.isAlive)
        this.doubt(half, '5', `${half.name} ended, and call ${call} was not told (${half.openCalls.size} in all)`);
    }
    this.#ended.clear();
    super.settle();
  }

  protected override judge(half: Half): void {
    super.judge(half);
    if (!this.isJudged || !half.isAlive) return;
    if (half.role === 'client' && half.everConnected) this.oracle.resumed(half);
  }

  #connected(half: Half): void {
    const { terms } = this.oracle;
    const { now } = this.host;
    if (half.disconnectedAt !== undefined) {
      const away = now - half.disconnectedAt;
      const limit = terms.graceMs + TICK_MS + slackOf(this.host, terms, half.disconnectedAt);
      if (away > limit)
        this.doubt(half, '8', `${half.name} was away for ${away} ms and lives: its grace is ${terms.graceMs} ms`);
    }
    half.disconnectedAt = undefined;
    half.everConnected = true;
    this.idleSince = undefined;
    this.touched.add(half);
  }

  #disconnected(half: Half): void {
    const { telling } = this;
    if (telling !== undefined && telling !== half.connection && this.sessionOf(telling) === half.sessionId)
      this.doubt(
        half,
        '6',
        `${half.name} lost connection ${half.connection} because of connection ${telling}, an old one`,
      );
    if (telling === undefined && !this.isClosing) this.#expectSilence(half);
    half.disconnectedAt = this.host.now;
    half.connection = undefined;
    if (this.role === 'client') this.wants();
  }

  /** Nothing came and nobody said that the connection is over: then it was given up because of silence. */
  #expectSilence(half: Half): void {
    const connection = half.connection === undefined ? undefined : this.host.connections[half.connection];
    if (connection?.hasUnread === true)
      this.doubt(half, 'liveness', `${half.name} gave its connection up, and has not read what came on it`);
    const { beatMs, heartbeatMs, misses } = this.oracle.terms;
    const interval = this.role === 'server' ? beatMs : heartbeatMs;
    const missing = missingSilence(half, interval, misses);
    if (missing <= TICK_MS) return;
    const silence = this.host.now - half.lastArrivalAt;
    this.doubt(half, 'liveness', `${half.name} gave its connection up after ${silence} ms, ${missing} ms too early`);
  }

  #expectStale({ handle, name }: Half): void {
    if (handle === undefined || !this.isJudged) return;
    if (isRevoked(handle)) return;
    this.fail('7', `${name} has moved on, and its old handle still gives access`);
  }
}
