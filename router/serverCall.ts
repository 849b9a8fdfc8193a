import {
  type CallKey,
  ControlFlags,
  closeMessage,
  type IncomingMessage,
  isCloseControl,
  isStreamCancel,
  isStreamClose,
  isStreamOpen,
} from '../transport/message.ts';
import type { Remains, SessionEnd, SessionPort } from '../transport/stream.ts';
import { CallEnd } from './callEnd.ts';
import type { ContextSource, HandlerContext } from './context.ts';
import {
  CANCEL_CODE,
  type ErrorPayload,
  INVALID_REQUEST_CODE,
  OUTCOME_UNKNOWN_CODE,
  UNCAUGHT_ERROR_CODE,
  UNEXPECTED_DISCONNECT_CODE,
} from './errors.ts';
import { type HandlerArgs, runHandler, runWithMiddlewares } from './handlerRun.ts';
import { type KeyedCalls, outcomeUnknown } from './keyedCalls.ts';
import type { Attempt, KeyedRun } from './keyedRun.ts';
import { invalidPayload, type LiveProcedure } from './openCall.ts';
import { ReadableQueue } from './readable.ts';
import { RespondingCall, type RespondingHost } from './respondingCall.ts';
import { type AnyResult, InvalidResponseError, isCancellation } from './response.ts';
import { Err, isResult, Ok } from './result.ts';
import type { CompiledSchema } from './schema.ts';
import { WritableHalf, type WriteTarget } from './writable.ts';

/** What a call needs of its server. */
export interface CallHost extends RespondingHost {
  readonly exposeErrorMessages: boolean;
  /** Undefined where outcomes are not kept. */
  readonly keyedCalls: KeyedCalls | undefined;
  /** @param mayHearMore the client may have sent more before it knows of the end */
  onCallEnded(call: ServerCall, mayHearMore: boolean): void;
  /** Something of a call begins that outlives its end: its handler, its cleanups. */
  began(): void;
  /** It is done. */
  done(): void;
}

/** One call on the server: from its opening message to its end. */
export class ServerCall extends RespondingCall implements WriteTarget<AnyResult>, ContextSource, Attempt {
  declare protected readonly host: CallHost;
  readonly deadlineAt: number | undefined;
  readonly end: CallEnd;
  readonly ctx: HandlerContext;
  /** Its place among the server's open calls. */
  previousCall: ServerCall | undefined;
  nextCall: ServerCall | undefined;
  isListed = false;
  readonly reqInit: unknown;
  readonly #callKey: CallKey | undefined;
  /** Of a call with a key: the run whose outcome it waits for. */
  #run: KeyedRun | undefined;
  readonly #readable: ReadableQueue<unknown, ErrorPayload> | undefined;
  readonly #writable: WritableHalf<AnyResult> | undefined;
  #endedWith: ErrorPayload | undefined;
  #handlerIsDone = false;
  /** The call has ended, and its handler runs on. */
  #remains: Remains | undefined;

  constructor(host: CallHost, port: SessionPort, opening: IncomingMessage, procedure: LiveProcedure) {
    super(host, port, opening, procedure);
    const { type } = procedure;
    this.deadlineAt = opening.deadlineAt;
    this.reqInit = opening.payload;
    this.#callKey = opening.callKey;
    this.end = new CallEnd(host, (error) => this.log('error', 'a deferred cleanup failed', error));
    this.ctx = procedure.createContext(this);
    this.#readable =
      type === 'upload' || type === 'stream' ? new ReadableQueue((cost) => this.onRead(cost)) : undefined;
    this.#writable = type === 'subscription' || type === 'stream' ? new WritableHalf<AnyResult>(this) : undefined;
    if (isStreamClose(opening.controlFlags)) this.#closeRequest();
  }

  /** Runs the handler; the stream has been opened. */
  start(): void {
    if (this.deadlineAt !== undefined) {
      const remaining = this.deadlineAt - this.port.clock.now();
      if (remaining <= 0) return this.#deadlineElapsed();
      this.armDeadline(remaining, () => this.#deadlineElapsed());
    }
    if (this.#callKey !== undefined) return this.#takeOutcome(this.#callKey);
    this.host.began();
    let outcome: unknown;
    try {
      outcome = this.span.run(() => this.#runHandler());
    } catch (error) {
      this.#handlerThrew(error);
      return this.#handlerEnded();
    }
    if (typeof outcome === 'object' && outcome !== null && 'then' in outcome) void this.#await(outcome);
    else {
      this.#handlerReturned(outcome);
      this.#handlerEnded();
    }
  }

  #handlerEnded(): void {
    this.#remains?.release();
    this.#remains = undefined;
    this.host.done();
  }

  /** True for a call whose handler runs apart from it. */
  get isKeyed(): boolean {
    return this.#callKey !== undefined;
  }

  get isRepeat(): boolean {
    return this.#callKey?.first !== undefined;
  }

  answer(result: AnyResult): void {
    if (!this.isResponseOpen) return;
    if (!result.ok && REFUSALS.has(result.payload.code)) return this.cancel(result.payload);
    if (this.transmit(result, ControlFlags.StreamClose)) this.finish(undefined);
  }

  refuse(error: ErrorPayload): void {
    this.cancel(error);
  }

  #takeOutcome(callKey: CallKey): void {
    const { keyedCalls } = this.host;
    if (keyedCalls === undefined)
      return this.refuse(this.isRepeat ? outcomeUnknown('this server keeps no outcomes') : KEPT_NOWHERE);
    this.#run = keyedCalls.take(this, callKey);
  }

  cancelByHandler(message: string): void {
    this.cancel({ code: CANCEL_CODE, message });
  }

  override onRead(cost: number): void {
    if (this.#remains === undefined) super.onRead(cost);
    else this.#remains.consumed(cost);
  }

  protected override closeStream(): void {
    if (this.#handlerIsDone || this.#callKey !== undefined) super.closeStream();
    else this.#remains = this.port.leaveStream(this.streamId);
  }

  logError(message: string, error: unknown): void {
    this.log('error', message, error);
  }

  onMessage(message: IncomingMessage): void {
    const { controlFlags, payload } = message;
    if (isStreamCancel(controlFlags)) return this.#cancelledByClient(payload);
    // A second opening must not hijack the first, nor can its sender tell the answers apart: neither goes on.
    if (isStreamOpen(controlFlags)) return this.#invalid('the stream is already open');
    if (!this.isRequestOpen) return this.#invalid('received message after request stream is closed');
    const isLast = isStreamClose(controlFlags);
    if (isCloseControl(controlFlags, payload)) return this.#closeRequest();
    const { requestData } = this.procedure;
    if (requestData === undefined) return this.#invalid('expected control payload');
    if (!this.#fits(requestData, payload)) return;
    message.isHeld = this.#readable?.push(Ok(payload), message.cost) ?? false;
    if (isLast) this.#closeRequest();
  }

  onSessionEnd(end: SessionEnd): void {
    this.finish({
      code: UNEXPECTED_DISCONNECT_CODE,
      message: `${this.port.to} unexpectedly disconnected: ${end.message}`,
    });
  }

  closeWith(value: AnyResult | undefined): void {
    if (value === undefined) this.sendControl(closeMessage(this.streamId));
    else if (!this.send(value, ControlFlags.StreamClose)) return;
    // Nothing a client may still say to a subscription is of any use, even if it did not close its half.
    if (this.procedure.type === 'subscription') this.finish(undefined);
    else this.closeResponseHalf();
    this.#discardUnread();
  }

  /** Nobody will read any more: what the client still writes must not wait for somebody who does. */
  #discardUnread(): void {
    if (this.#handlerIsDone && !this.isResponseOpen && this.#readable?.isReadable() === true) this.#readable.break();
  }

  protected override onEnded(error: ErrorPayload | undefined, requestWasOpen: boolean): void {
    this.#run?.leave(this);
    this.#endedWith = error ?? COMPLETE;
    const reason = error?.message ?? 'it is complete';
    if (error !== undefined && requestWasOpen) this.#readable?.push(Err(error));
    this.#readable?.close();
    this.#writable?.end(reason);
    this.end.reach(reason);
    this.log('debug', 'call ended', undefined, error?.code);
    this.host.onCallEnded(this, requestWasOpen || error !== undefined);
  }

  #fits(requestData: CompiledSchema, payload: unknown): boolean {
    try {
      if (requestData.check(payload)) return true;
      const errors = requestData.errors(payload);
      const error = invalidPayload('expected requestData or control payload', errors, this.port.speaksExtensions);
      this.log('warn', error.message);
      this.cancel(error);
    } catch (error) {
      this.log('error', 'a request could not be checked', error); // a schema's own check threw
      this.cancel({ code: UNCAUGHT_ERROR_CODE, message: 'internal server error' });
    }
    return false;
  }

  #closeRequest(): void {
    this.#readable?.close();
    this.closeRequestHalf();
  }

  #runHandler(): unknown {
    const args: HandlerArgs = {
      ctx: this.ctx,
      reqInit: this.reqInit,
      reqReadable: this.#readable,
      resWritable: this.#writable,
    };
    if (this.procedure.middlewares.length === 0) return runHandler(this.procedure, args);
    return runWithMiddlewares(this.procedure, args, () => this.#endedWith, this.host.stripUndeclared);
  }

  async #await(outcome: object): Promise<void> {
    try {
      this.#handlerReturned(await outcome);
    } catch (error) {
      this.#handlerThrew(error);
    } finally {
      this.#handlerEnded();
    }
  }

  /** @param outcome the handler's; where there are middlewares theirs, which is judged already */
  #handlerReturned(outcome: unknown): void {
    this.#handlerIsDone = true;
    this.#discardUnread();
    if (!this.isResponseOpen) return;
    const isJudged = this.procedure.middlewares.length > 0;
    // A subscription or stream goes on after its handler has returned, unless a middleware answers for it.
    if (this.#writable !== undefined && (outcome === undefined || !isJudged)) return;
    const isSent =
      isJudged && isResult(outcome)
        ? this.transmit(outcome, ControlFlags.StreamClose)
        : this.send(outcome, ControlFlags.StreamClose);
    if (isSent) this.finish(undefined);
  }

  #handlerThrew(error: unknown): void {
    if (this.hasEnded) return this.log('debug', 'a handler failed after its call had ended', error);
    this.log('error', 'a handler failed', error);
    const text = error instanceof Error ? error.message : typeof error === 'string' ? error : 'unknown error';
    const isPrivate = !this.host.exposeErrorMessages || error instanceof InvalidResponseError;
    const shown = { code: UNCAUGHT_ERROR_CODE, message: isPrivate ? 'internal server error' : text };
    this.failSpan(shown, error);
    this.cancel(shown);
  }

  /** Whoever streams responses to a client that cancels closes its half, as River does; it ends the stream there. */
  #cancelledByClient(payload: unknown): void {
    const isValid = isResult(payload) && isCancellation(payload) && !payload.ok;
    const message = isValid ? payload.payload.message : 'stream cancelled, client sent invalid payload';
    if (this.#writable !== undefined && this.isResponseOpen) this.sendControl(closeMessage(this.streamId));
    this.finish({ code: CANCEL_CODE, message });
  }

  #deadlineElapsed(): void {
    this.cancel({ code: CANCEL_CODE, message: 'deadline exceeded' });
  }

  #invalid(message: string): void {
    this.log('warn', message);
    this.cancel({ code: INVALID_REQUEST_CODE, message });
  }
}

/** What a middleware is told that comes too late to run the handler of a call that went well. */
const COMPLETE: ErrorPayload = Object.freeze({ code: CANCEL_CODE, message: 'the call is complete' });

/** Outcomes that are no answer of the handler's own, and go out as they do without a key. */
const REFUSALS: ReadonlySet<string> = new Set([UNCAUGHT_ERROR_CODE, OUTCOME_UNKNOWN_CODE]);

/** A session may have agreed on keys with another server on the same transport. */
const KEPT_NOWHERE: ErrorPayload = Object.freeze({
  code: INVALID_REQUEST_CODE,
  message: 'this server keeps no outcomes of calls with an idempotency key',
});
