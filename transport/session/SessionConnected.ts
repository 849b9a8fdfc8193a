import { FrameFlags } from '../compactLayout.ts';
import type { Connection, ConnectionReceiver } from '../connection.ts';
import { FrameTooLargeError } from '../errors.ts';
import type { TracedSpan } from '../telemetry.ts';
import { SessionState } from './common.ts';
import type { SessionCore } from './core.ts';
import { Beat, type Liveness, type LivenessHooks, Watchdog } from './heartbeat.ts';
import { ReceivingHalf, type Role } from './ReceivingHalf.ts';
import { createHandle } from './revocable.ts';
import { verdictAfter } from './verdict.ts';
import type { VerdictQueue } from './verdictQueue.ts';

/** River's clients give up after two of their own seconds without a beat. */
const RIVER_BEAT_MS = 1_000;

/** After a validator failed its client is asked again: what it needs may be back. */
const ASK_AGAIN_MS = 1_000;

/** A connection carries the session: messages flow. Sending and receiving are its base classes; this is its life. */
export class SessionConnected extends ReceivingHalf implements ConnectionReceiver, LivenessHooks {
  readonly state = SessionState.Connected;
  readonly handle: SessionConnected;
  #answer: Uint8Array | undefined;
  #span: TracedSpan | undefined;
  readonly #liveness: Liveness;
  #cancelExpiry: (() => void) | undefined;
  /** Until it is `none` again the timer of {@link #cancelExpiry} bounds it. */
  #rehandshake: 'none' | 'asked' | 'judged' | 'judged and asked again' | 'not judged' = 'none';

  /** @param answer to the handshake that made the connection this session's; the first thing written on it */
  constructor(core: SessionCore, connection: Connection, role: Role, answer?: Uint8Array) {
    super(core, connection, role);
    this.#answer = answer;
    const { heartbeatsUntilDead } = core.env.options;
    const misses = core.agreement?.extensions?.heartbeat?.misses ?? heartbeatsUntilDead;
    this.#liveness = role === 'server' ? new Beat(this, heartbeatsUntilDead) : new Watchdog(this, misses + 2);
    this.handle = createHandle<SessionConnected>(this);
  }

  /** Of the server's beats. */
  get #beatMs(): number {
    const { env, agreement } = this.core;
    const { heartbeatIntervalMs } = env.options;
    const announced = agreement?.extensions?.heartbeat?.intervalMs;
    return announced ?? (this.role === 'server' ? Math.min(heartbeatIntervalMs, RIVER_BEAT_MS) : heartbeatIntervalMs);
  }

  onEnter(): void {
    const { core, connection } = this;
    const { wheel, clock, telemetry } = core.env;
    const attributes = { 'holdfast.session_id': core.id };
    this.#span = telemetry.startSpan('holdfast.connection', this.role, attributes, core.span);
    // Read before anything is written: a connection may answer within the call that sends.
    connection.attach(this);
    core.repeatCredits();
    connection.cork();
    if (this.#answer !== undefined) connection.send(this.#answer);
    this.#answer = undefined;
    this.flush();
    connection.uncork();
    core.sink = this;
    core.wasConnected = true;
    this.#liveness.start(clock, wheel, this.#beatMs);
    if (this.role === 'server') return this.watchExpiry();
    const onHeld = () => {
      this.isOnProbation = true;
    };
    this.own(wheel.after(this.#beatMs, onHeld));
  }

  protected override onExit(): void {
    this.#cancelExpiry?.();
    this.#liveness.stop(this.core.env.wheel);
    this.core.sink = undefined;
    this.core.count();
    this.connection.detach(this);
    this.#span?.end();
  }

  /** The connection has read a frame. */
  onData(frame: Uint8Array): void {
    // Not the handle, which would cost a quarter of a message, and not by way of the owner: its objects lie elsewhere in memory.
    this.core.env.queue.post(this, receive, frame);
  }

  /** The connection has ended. */
  onClose(error: unknown): void {
    const { owner } = this.core.env;
    // It would be sent again on the next connection, and the next: the session cannot go on.
    if (error instanceof FrameTooLargeError) owner.onViolation(this.handle, error.message);
    else owner.onConnectionClosed(this.handle, error);
  }

  get verdicts(): VerdictQueue {
    return this.core.env.verdicts;
  }

  bytesRead(): number | undefined {
    return this.connection.bytesRead;
  }

  /** The peer has been silent for too long. */
  onSilent(): void {
    this.core.env.owner.onPeerSilent(this.handle);
  }

  /** The server beats; the client's watchdog only looks. */
  beat(): boolean {
    if (this.role === 'client') return false;
    // What a connection holds shrinks without an event.
    this.core.count();
    this.acknowledge(FrameFlags.WantReply);
    return !this.connection.isEnded;
  }

  /**
   * Server: asks for fresh metadata one handshake's time before the credential ends, or, of one that does not last so long, when half of
   * its time is over: a client that has no fresher one yet must not be asked again at once.
   */
  watchExpiry(): void {
    this.#cancelExpiry?.();
    const { core } = this;
    if (core.expiresAt === undefined) return;
    const { clock, options, wheel, owner } = core.env;
    const leftMs = core.expiresAt - clock.wallNow();
    const inMs = Math.max(0, leftMs / 2, leftMs - options.handshakeTimeoutMs);
    this.#cancelExpiry = wheel.after(inMs, () => owner.onExpiryNear(this.handle));
  }

  /** Server: a client answered a re-handshake. False if none was asked for, or another answer is being judged. */
  takeRehandshake(): boolean {
    if (this.#rehandshake !== 'asked') return false;
    this.#rehandshake = 'judged';
    return true;
  }

  /** Server: the answer was judged. True if fresh metadata were asked for again meanwhile: it was judged by what was known before. */
  endJudging(): boolean {
    const isAskedAgain = this.#rehandshake === 'judged and asked again';
    this.#rehandshake = 'none';
    return isAskedAgain;
  }

  /**
   * Server: fresh metadata are wanted; bounds the wait for them by the credential's end.
   * @returns false if the client need not be asked now: it was and has not answered, or what it answered is being judged
   */
  awaitRehandshake(): boolean {
    const before = this.#rehandshake;
    this.#rehandshake = before === 'judged' || before === 'judged and asked again' ? 'judged and asked again' : 'asked';
    if (before !== 'none') return before === 'not judged';
    this.#cancelExpiry?.();
    const { core } = this;
    const { clock, options, owner } = core.env;
    const untilExpiry = core.expiresAt === undefined ? options.handshakeTimeoutMs : core.expiresAt - clock.wallNow();
    const inMs = Math.min(options.handshakeTimeoutMs, untilExpiry);
    this.#cancelExpiry = verdictAfter(core.env, inMs, () => owner.onRehandshakeOverdue(this.handle));
    return true;
  }

  /** Server: nobody could judge the answer; the wait for another one goes on. */
  askAgainSoon(): void {
    this.#rehandshake = 'not judged';
    const { wheel, owner } = this.core.env;
    const ask = () => {
      // Unless somebody has asked meanwhile.
      if (this.#rehandshake === 'not judged') owner.onExpiryNear(this.handle);
    };
    this.own(wheel.after(ASK_AGAIN_MS, ask));
  }

  protected onEnd(): void {
    // What was said in this turn: nobody says it again.
    this.flush();
    this.connection.close();
  }
}

function receive(session: SessionConnected, frame: Uint8Array): void {
  session.receive(frame);
}
