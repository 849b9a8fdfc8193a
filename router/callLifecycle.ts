import type { CancelTimer } from '../transport/clock.ts';
import { SessionBufferFullError } from '../transport/errors.ts';
import { cancelMessage, type IncomingMessage, type OutgoingMessage } from '../transport/message.ts';
import type { SessionEnd, SessionPort, StreamReceiver } from '../transport/stream.ts';
import { NO_SPAN, type TracedSpan } from '../transport/telemetry.ts';
import { CallError, type ErrorPayload } from './errors.ts';
import { Err } from './result.ts';

/** Where a call stands: each half closes once, and with the second of them, or with a cancel, the call has ended. */
export type CallState = 'open' | 'request closed' | 'response closed' | 'ended';

/**
 * One call, as its client and its server both see it: two halves, one deadline, one span, one end. The subclasses say
 * what messages mean; where the call stands changes only here.
 */
export abstract class CallLifecycle implements StreamReceiver {
  readonly port: SessionPort;
  readonly streamId: string;
  readonly span: TracedSpan;
  #state: CallState = 'open';
  #stopDeadline: CancelTimer | undefined;
  #spanFailed = false;

  constructor(port: SessionPort, streamId: string, span: TracedSpan) {
    this.port = port;
    this.streamId = streamId;
    this.span = span;
  }

  abstract onMessage(message: IncomingMessage): void;
  abstract onSessionEnd(end: SessionEnd): void;
  /** Nobody reads what the peer sends, and there is no room for more: the call fails. */
  abstract onOverflow(message: string): void;

  /**
   * The call has ended; called exactly once, after its stream was closed.
   * @param error why it failed, or undefined if both halves closed
   * @param requestWasOpen the request half had not closed: the peer may still send on it
   */
  protected abstract onEnded(error: ErrorPayload | undefined, requestWasOpen: boolean): void;

  get hasEnded(): boolean {
    return this.#state === 'ended';
  }

  get isRequestOpen(): boolean {
    return this.#state === 'open' || this.#state === 'response closed';
  }

  get isResponseOpen(): boolean {
    return this.#state === 'open' || this.#state === 'request closed';
  }

  /** So much of what the peer sent was read: it may send as much again. */
  onRead(cost: number): void {
    this.port.consumed(this.streamId, cost);
  }

  protected closeRequestHalf(): void {
    if (this.#state === 'open') this.#state = 'request closed';
    else if (this.#state === 'response closed') this.finish(undefined);
  }

  protected closeResponseHalf(): void {
    if (this.#state === 'open') this.#state = 'response closed';
    else if (this.#state === 'request closed') this.finish(undefined);
  }

  /** Ends the call, whatever is open. The first end counts. */
  protected finish(error: ErrorPayload | undefined): void {
    if (this.#state === 'ended') return;
    const requestWasOpen = this.isRequestOpen;
    this.#state = 'ended';
    this.#stopDeadline?.();
    this.closeStream();
    this.onEnded(error, requestWasOpen);
    if (error !== undefined) this.failSpan(error);
    this.span.end();
  }

  /** Nothing of it is heard any more. */
  protected closeStream(): void {
    this.port.closeStream(this.streamId);
  }

  /**
   * Marks the span as failed; the first failure counts, which is nearest to the cause. An error with a stack is made only
   * where somebody traces.
   * @param cause what was thrown, where it says more than the error that crosses the wire
   */
  protected failSpan(error: ErrorPayload, cause?: unknown): void {
    if (this.span === NO_SPAN || this.#spanFailed) return;
    this.#spanFailed = true;
    this.span.fail(cause ?? new CallError(error));
  }

  /** Calls `fn` in `ms` milliseconds unless the call has ended by then. */
  protected armDeadline(ms: number, fn: () => void): void {
    this.#stopDeadline = this.port.clock.after(ms, fn);
  }

  /** Sends a close or a cancel, which the other side must hear of. */
  protected sendControl(message: OutgoingMessage): void {
    sendOrEnd(this.port, message);
  }
}

const TOO_LARGE = 'the error is too large to be sent, or cannot be encoded';

/** Ends a call with an error. Where that cannot be sent as it is, its code is: whoever waits for the call must hear of its end. */
export function sendCancel(port: SessionPort, streamId: string, error: ErrorPayload): void {
  const said = sendOrEnd(port, cancelMessage(streamId, Err(error)));
  if (!said && error.message !== TOO_LARGE) sendCancel(port, streamId, { code: error.code, message: TOO_LARGE });
}

/**
 * Sends what cannot be left out: a close or a cancel. Where even their reserve is used up the session ends, and every call
 * on it is told; a call that is never answered would wait for ever.
 * @returns false if it cannot be sent at all, because it is too large, or no codec carries it
 */
export function sendOrEnd(port: SessionPort, message: OutgoingMessage): boolean {
  if (!port.isOpen) return true;
  try {
    port.send(message);
    return true;
  } catch (error) {
    if (error instanceof SessionBufferFullError) port.overflow(`no room for the end of a call: ${error.message}`);
    // Or a getter has ended the session.
    return !port.isOpen;
  }
}
