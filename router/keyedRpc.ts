import { type FirstAttempt, knownForMs } from '../transport/message.ts';
import type { SessionEnd } from '../transport/stream.ts';
import type { UnkeyedCallOptions } from './callOptions.ts';
import { CANCELLED, type CallKind, type ClientCall, deadlineExceeded, type ResultSink } from './clientCall.ts';
import {
  DEADLINE_EXCEEDED_CODE,
  type ErrorPayload,
  IDEMPOTENCY_UNSUPPORTED_CODE,
  INVALID_REQUEST_CODE,
  OUTCOME_UNKNOWN_CODE,
  SESSION_BUFFER_FULL_CODE,
  UNEXPECTED_DISCONNECT_CODE,
} from './errors.ts';
import { Err, type Result } from './result.ts';
import { type Caller, startCall } from './startCall.ts';
import { type UnansweredCalls, unansweredCallsOf } from './unansweredCalls.ts';

/** Ends after which nobody dials by itself: a repeat would dial where the application should decide. */
const FINAL_ENDS: ReadonlySet<SessionEnd['code']> = new Set(['handshake_rejected', 'retries_exceeded']);

/** What a caller hears who does not hear what came of the call; so is {@link CANCELLED}. */
const UNANSWERED: ReadonlySet<string> = new Set([
  DEADLINE_EXCEEDED_CODE,
  OUTCOME_UNKNOWN_CODE,
  SESSION_BUFFER_FULL_CODE,
  UNEXPECTED_DISCONNECT_CODE,
]);

/**
 * An rpc with a key: one call of its caller's, and as many attempts as sessions die under it. A session that ended takes
 * the answer with it, but not the right to ask again.
 */
export class KeyedRpc implements ResultSink {
  readonly #caller: Caller;
  readonly #kind: CallKind;
  readonly #key: string;
  readonly #init: unknown;
  readonly #options: UnkeyedCallOptions;
  readonly #sink: ResultSink;
  readonly #deadlineAt: number;
  readonly #unanswered: UnansweredCalls;
  /** Among those. */
  readonly #name: string;
  #attemptedAt = { now: 0, wall: 0 };
  /** The latest attempt, once it is open. */
  #call: ClientCall | undefined;
  /** Once an attempt was sent that nobody answered. */
  #first: FirstAttempt | undefined;

  /** @throws {CodecError} if `init` cannot be encoded */
  constructor(
    caller: Caller,
    kind: CallKind,
    key: string,
    init: unknown,
    options: UnkeyedCallOptions,
    sink: ResultSink,
  ) {
    const { codec } = caller.transport.options;
    this.#caller = caller;
    this.#kind = kind;
    this.#key = key;
    // As it is now: a repeat says the same, whatever becomes of the caller's object.
    this.#init = (codec.fromBuffer(codec.toBuffer({ init })) as { init?: unknown }).init; // our own encoding of {init}
    this.#options = options;
    this.#sink = sink;
    this.#deadlineAt = this.#now + (options.timeoutMs ?? Infinity);
    this.#unanswered = unansweredCallsOf(caller.transport);
    this.#name = JSON.stringify([caller.serverId, kind.serviceName, kind.procedureName, key]);
    this.#first = this.#unanswered.recall(this.#name);
  }

  /** @throws {CodecError | InvalidOptionsError} as {@link startCall} does */
  start(): void {
    this.#attempt(this.#caller, this.#options);
  }

  push(result: Result<unknown, ErrorPayload>): boolean {
    return this.#conclude(result.ok ? result : Err(this.#meaningOf(result.payload)));
  }

  close(): void {
    this.#sink.close();
  }

  onSessionEnd({ code }: SessionEnd): boolean {
    if (FINAL_ENDS.has(code) || this.#caller.transport.getStatus() === 'closed') return false;
    this.#noteFirst();
    // Not in this turn: the transport is still ending the session, and waits before it dials again.
    void Promise.resolve().then(() => this.#repeat());
    return true;
  }

  get #now(): number {
    return this.#caller.transport.clock.now();
  }

  /** The latest attempt may have been executed, or one before it. */
  #noteFirst(): void {
    const terms = this.#call?.port.idempotency;
    // What no session has agreed on, or no connection carried, was never sent: the next attempt is still the first.
    if (terms !== undefined && this.#call?.mayHaveArrived === true) {
      const { instance, ttlMs } = terms;
      const { now, wall } = this.#attemptedAt;
      this.#first ??= { instance, knownUntil: now + ttlMs, knownUntilWall: wall + ttlMs };
    }
    if (this.#first !== undefined) this.#unanswered.remember(this.#name, this.#first);
  }

  #repeat(): void {
    if (this.#first !== undefined && knownForMs(this.#first, this.#caller.transport.clock) <= 0)
      return this.#fail(unknown('the server does not keep its outcome any longer'));
    const timeoutMs = this.#deadlineAt - this.#now;
    if (timeoutMs <= 0) return this.#fail(deadlineExceeded(this.#options.timeoutMs));
    const { signal } = this.#options;
    try {
      // There was a session, and the transport makes another one: neither is for this call to decide.
      this.#attempt({ ...this.#caller, connectOnInvoke: true }, { signal, timeoutMs });
    } catch (error) {
      this.#fail({ code: INVALID_REQUEST_CODE, message: error instanceof Error ? error.message : String(error) });
    }
  }

  #attempt(caller: Caller, options: UnkeyedCallOptions): void {
    const { clock } = this.#caller.transport;
    this.#attemptedAt = { now: clock.now(), wall: clock.wallNow() };
    this.#call = undefined;
    const callKey = this.#first === undefined ? { key: this.#key } : { key: this.#key, first: this.#first };
    this.#call = startCall(caller, this.#kind, this.#init, options, this, callKey);
  }

  #meaningOf(error: ErrorPayload): ErrorPayload {
    const { code, message } = error;
    // The caller's own time, and not what was left of it.
    if (code === DEADLINE_EXCEEDED_CODE) return deadlineExceeded(this.#options.timeoutMs);
    if (this.#first === undefined) return error;
    if (code === IDEMPOTENCY_UNSUPPORTED_CODE) return unknown('the server of the next session keeps no outcomes');
    // A session that does not take the repeat says nothing of the first attempt.
    const isRefused = this.#call === undefined && (code === INVALID_REQUEST_CODE || code === SESSION_BUFFER_FULL_CODE);
    return isRefused ? unknown(message) : error;
  }

  #fail(error: ErrorPayload): void {
    this.#conclude(Err(error));
    this.#sink.close();
  }

  #conclude(result: Result<unknown, ErrorPayload>): boolean {
    const isAnswer = result.ok || (result.payload !== CANCELLED && !UNANSWERED.has(result.payload.code));
    if (isAnswer) this.#unanswered.forget(this.#name);
    else this.#noteFirst();
    return this.#sink.push(result);
  }
}

function unknown(why: string): ErrorPayload {
  return { code: OUTCOME_UNKNOWN_CODE, message: `the call may have been executed: ${why}` };
}
