import { onceAborted } from '../transport/abort.ts';
import {
  HoldfastError,
  IdempotencyUnsupportedError,
  SessionBufferFullError,
  SessionClosedError,
} from '../transport/errors.ts';
import type { Logger, LogLevel } from '../transport/log.ts';
import {
  type CallKey,
  ControlFlags,
  cancelMessage,
  closeMessage,
  type IncomingMessage,
  isClosePayload,
  isStreamCancel,
  isStreamClose,
} from '../transport/message.ts';
import type { SessionEnd, SessionPort } from '../transport/stream.ts';
import type { TracedSpan } from '../transport/telemetry.ts';
import { CallLifecycle } from './callLifecycle.ts';
import type { CallOptions } from './callOptions.ts';
import {
  CANCEL_CODE,
  DEADLINE_EXCEEDED_CODE,
  type ErrorPayload,
  IDEMPOTENCY_UNSUPPORTED_CODE,
  INVALID_REQUEST_CODE,
  SESSION_BUFFER_FULL_CODE,
  UNCAUGHT_ERROR_CODE,
  UNEXPECTED_DISCONNECT_CODE,
} from './errors.ts';
import { Err, isResult, type Result } from './result.ts';
import type { SharedValue } from './sharedValue.ts';
import { WritableHalf, type WriteTarget } from './writable.ts';

/** Where a call's results go: a readable, or the one promise of a call with a single result. */
export interface ResultSink {
  /** @returns true if nobody has read it yet */
  push(result: Result<unknown, ErrorPayload>, cost?: number): boolean;
  close(): void;
  /** The session ended under the call. Returns true if somebody makes it again: then there is no result yet. */
  onSessionEnd?(end: SessionEnd): boolean;
}

/** Which procedure is called, and in which way. */
export interface CallKind {
  readonly serviceName: string;
  readonly procedureName: string;
  /** The request half closes with the opening message: rpc and subscription. */
  readonly closesRequest: boolean;
  /** The first result is the last: rpc and upload. */
  readonly isSingle: boolean;
}

/** One call on the client: from its opening message to its end. */
export class ClientCall extends CallLifecycle implements WriteTarget<unknown> {
  /** The request half, where the caller has one. */
  readonly writable: WritableHalf<unknown> | undefined;
  readonly #kind: CallKind;
  readonly #sink: ResultSink;
  readonly #logger: Logger;
  readonly #openingSeq: number;
  #deadlineAt: number | undefined;
  #stopListening: (() => void) | undefined;
  #isMadeAgain = false;

  constructor(port: SessionPort, streamId: string, span: TracedSpan, kind: CallKind, sink: ResultSink, logger: Logger) {
    super(port, streamId, span);
    this.#kind = kind;
    this.#sink = sink;
    this.#logger = logger;
    this.#openingSeq = port.nextSeq;
    this.writable = kind.closesRequest ? undefined : new WritableHalf<unknown>(this);
    if (kind.closesRequest) this.closeRequestHalf();
  }

  /**
   * Sends the opening message. If the session refuses it, the call ends with an error result.
   * @throws {CodecError} if `init` cannot be encoded: a mistake of its caller
   */
  open(init: unknown, { signal, timeoutMs = Infinity }: CallOptions, callKey?: CallKey | undefined): void {
    const { streamId, port } = this;
    const { serviceName, procedureName, closesRequest } = this.#kind;
    if (timeoutMs !== Infinity) this.#deadlineAt = port.clock.now() + timeoutMs;
    try {
      port.openStream(streamId, this);
      port.send({
        streamId,
        controlFlags: closesRequest ? ControlFlags.StreamOpen | ControlFlags.StreamClose : ControlFlags.StreamOpen,
        serviceName,
        procedureName,
        tracing: this.span.propagation,
        deadlineAt: this.#deadlineAt,
        callKey,
        payload: init,
      });
    } catch (error) {
      const refusal = refusalOf(error);
      this.finish(refusal ?? { code: INVALID_REQUEST_CODE, message: 'the init cannot be encoded' });
      if (refusal === undefined) throw error;
    }
    if (this.hasEnded) return;
    if (this.#deadlineAt !== undefined) this.armDeadline(timeoutMs, () => this.cancel(this.#tooLate(timeoutMs)));
    if (signal !== undefined) this.#listen(signal);
  }

  /** False where the server has never heard of the call, nor will. */
  get mayHaveArrived(): boolean {
    // A session that goes on may still send what it has framed.
    return this.port.isOpen || this.port.transmittedSeq > this.#openingSeq;
  }

  /** Gives the call up. What was never sent is taken back; the server hears of the rest. */
  cancel(error: ErrorPayload = CANCELLED): void {
    if (this.hasEnded) return;
    const message = error.code === CANCEL_CODE ? error.message : 'deadline exceeded';
    if (!this.port.unsend(this.streamId)) {
      this.sendControl(cancelMessage(this.streamId, Err({ code: CANCEL_CODE, message })));
    }
    this.finish(error);
  }

  onMessage(message: IncomingMessage): void {
    const { controlFlags, payload } = message;
    if (isStreamCancel(controlFlags)) return this.#cancelledByServer(payload);
    if (!this.isResponseOpen) return;
    const isLast = isStreamClose(controlFlags);
    if (isLast && isClosePayload(payload)) return this.#closeResponse();
    if (!isResult(payload)) {
      this.#log('warn', 'the server sent something that is no result');
      this.sendControl(cancelMessage(this.streamId, Err(CANCELLED)));
      return this.finish({ code: UNCAUGHT_ERROR_CODE, message: 'the server sent something that is no result' });
    }
    if (!payload.ok) this.failSpan(payload.payload);
    message.isHeld = this.#sink.push(payload, message.cost);
    if (isLast || this.#kind.isSingle) this.#closeResponse();
  }

  onSessionEnd(end: SessionEnd): void {
    if (end.code === 'idempotency_unsupported')
      return this.finish({ code: IDEMPOTENCY_UNSUPPORTED_CODE, message: end.message });
    this.#isMadeAgain = this.#sink.onSessionEnd?.(end) ?? false;
    const message = `${this.port.to} unexpectedly disconnected: ${end.message}`;
    this.finish({ code: UNEXPECTED_DISCONNECT_CODE, message });
  }

  onOverflow(message: string): void {
    this.#log('warn', message);
    this.sendControl(cancelMessage(this.streamId, Err(CANCELLED)));
    this.finish({ code: SESSION_BUFFER_FULL_CODE, message });
  }

  writeValue(value: unknown): void {
    // Between the end of a session and the news of it there is nothing to throw about.
    if (this.port.isOpen) this.port.send({ streamId: this.streamId, controlFlags: 0, payload: value });
  }

  writeShared({ value }: SharedValue): void {
    this.writeValue(value);
  }

  closeWith(value: unknown): void {
    // As a last message, a value that looks like the close control would be taken for it.
    if (value !== undefined && isClosePayload(value)) this.writeValue(value);
    else if (value !== undefined && this.port.isOpen) {
      this.port.send({ streamId: this.streamId, controlFlags: ControlFlags.StreamClose, payload: value });
      return this.closeRequestHalf();
    }
    this.sendControl(closeMessage(this.streamId));
    this.closeRequestHalf();
  }

  protected override onEnded(error: ErrorPayload | undefined): void {
    this.#stopListening?.();
    this.#log('debug', 'call ended', error?.code);
    if (this.#isMadeAgain) return;
    if (error !== undefined) this.#sink.push(Err(error));
    this.#sink.close();
    this.writable?.end(error?.message ?? 'it is complete');
  }

  #closeResponse(): void {
    this.#sink.close();
    // An upload that is answered early: whatever else its caller writes is of no use, and a River server waits for this.
    if (this.#kind.isSingle) this.port.discard(this.streamId);
    if (this.#kind.isSingle && this.isRequestOpen) {
      this.sendControl(closeMessage(this.streamId));
      return this.finish(undefined);
    }
    this.closeResponseHalf();
  }

  #cancelledByServer(payload: unknown): void {
    const error = isResult(payload) && !payload.ok ? payload.payload : INVALID_CANCEL;
    // A server that knows the deadline cancels at it, and may be read before our own timer has its turn.
    const isLate = this.#deadlineAt !== undefined && this.port.clock.now() >= this.#deadlineAt;
    this.finish(isLate && error.code === CANCEL_CODE ? deadlineExceeded() : error);
  }

  #log(level: LogLevel, message: string, code?: string): void {
    if (!this.#logger.enabled(level)) return;
    this.#logger.log(level, message, {
      clientId: this.port.from,
      connectedTo: this.port.to,
      sessionId: this.port.id,
      streamId: this.streamId,
      service: this.#kind.serviceName,
      procedure: this.#kind.procedureName,
      code,
    });
  }

  /** Somebody who dialled a wrong address would otherwise look for a slow handler. */
  #tooLate(timeoutMs: number): ErrorPayload {
    const error = deadlineExceeded(timeoutMs);
    return this.port.isConnected ? error : { ...error, message: `${error.message}: not connected to ${this.port.to}` };
  }

  #listen(signal: AbortSignal): void {
    // By a getter of the init, say.
    if (signal.aborted) return this.cancel();
    this.#stopListening = onceAborted(signal, () => this.cancel());
  }
}

/** What a caller gets who gave the call up, and what the server is told. */
export const CANCELLED: ErrorPayload = Object.freeze({ code: CANCEL_CODE, message: 'cancelled by client' });

const INVALID_CANCEL: ErrorPayload = Object.freeze({
  code: CANCEL_CODE,
  message: 'stream cancelled, server sent invalid payload',
});

/** What a caller gets whose `timeoutMs` is over. */
export function deadlineExceeded(timeoutMs?: number): ErrorPayload {
  const text = timeoutMs === undefined ? '' : ` (${Math.round(timeoutMs)})`;
  return { code: DEADLINE_EXCEEDED_CODE, message: `no answer within timeoutMs${text}` };
}

/** What a caller gets whose call the session does not take; undefined where the caller alone is at fault. */
function refusalOf(error: unknown): ErrorPayload | undefined {
  if (!(error instanceof HoldfastError)) return undefined;
  const { message } = error;
  if (error instanceof SessionBufferFullError) return { code: SESSION_BUFFER_FULL_CODE, message };
  if (error instanceof IdempotencyUnsupportedError) return { code: IDEMPOTENCY_UNSUPPORTED_CODE, message };
  if (error instanceof SessionClosedError) return { code: UNEXPECTED_DISCONNECT_CODE, message };
  return { code: INVALID_REQUEST_CODE, message };
}
