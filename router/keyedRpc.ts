import type { FirstAttempt } from '../transport/message.ts';
import type { SessionEnd, SessionPort } from '../transport/stream.ts';
import type { UnkeyedCallOptions } from './callOptions.ts';
import { type CallKind, deadlineExceeded, type ResultSink } from './clientCall.ts';
import {
  DEADLINE_EXCEEDED_CODE,
  type ErrorPayload,
  IDEMPOTENCY_UNSUPPORTED_CODE,
  INVALID_REQUEST_CODE,
  OUTCOME_UNKNOWN_CODE,
} from './errors.ts';
import { Err, type Result } from './result.ts';
import { type Caller, startCall } from './startCall.ts';

/** Ends after which nobody dials by itself: a repeat would dial where the application should decide. */
const FINAL_ENDS: ReadonlySet<SessionEnd['code']> = new Set(['handshake_rejected', 'retries_exceeded']);

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
  #attemptedAt = 0;
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
  }

  /** @throws {CodecError | InvalidOptionsError} as {@link startCall} does */
  start(): void {
    this.#attempt(this.#caller, this.#options);
  }

  push(result: Result<unknown, ErrorPayload>): boolean {
    return this.#sink.push(result.ok ? result : Err(this.#meaningOf(result.payload)));
  }

  close(): void {
    this.#sink.close();
  }

  onSessionEnd({ code }: SessionEnd, { idempotency }: SessionPort): boolean {
    if (FINAL_ENDS.has(code) || this.#caller.transport.getStatus() === 'closed') return false;
    // What no session has agreed on was never framed: the next attempt is still the first.
    if (idempotency !== undefined) {
      const { instance, ttlMs } = idempotency;
      this.#first ??= { instance, knownUntil: this.#attemptedAt + ttlMs };
    }
    // Not in this turn: the transport is still ending the session, and waits before it dials again.
    void Promise.resolve().then(() => this.#repeat());
    return true;
  }

  get #now(): number {
    return this.#caller.transport.clock.now();
  }

  #repeat(): void {
    if (this.#first !== undefined && this.#now >= this.#first.knownUntil)
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
    this.#attemptedAt = this.#now;
    const callKey = this.#first === undefined ? { key: this.#key } : { key: this.#key, first: this.#first };
    startCall(caller, this.#kind, this.#init, options, this, callKey);
  }

  #meaningOf(error: ErrorPayload): ErrorPayload {
    // The caller's own time, and not what was left of it.
    if (error.code === DEADLINE_EXCEEDED_CODE) return deadlineExceeded(this.#options.timeoutMs);
    if (error.code === IDEMPOTENCY_UNSUPPORTED_CODE && this.#first !== undefined)
      return unknown('the server of the next session keeps no outcomes');
    return error;
  }

  #fail(error: ErrorPayload): void {
    this.#sink.push(Err(error));
    this.#sink.close();
  }
}

function unknown(why: string): ErrorPayload {
  return { code: OUTCOME_UNKNOWN_CODE, message: `the call may have been executed: ${why}` };
}
