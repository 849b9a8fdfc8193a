import type { Logger, LogLevel } from '../transport/log.ts';
import type { IncomingMessage } from '../transport/message.ts';
import type { SharedPayload } from '../transport/sharedPayload.ts';
import type { SessionPort } from '../transport/stream.ts';
import type { Telemetry } from '../transport/telemetry.ts';
import { CallLifecycle, sendCancel } from './callLifecycle.ts';
import { type ErrorPayload, UNCAUGHT_ERROR_CODE } from './errors.ts';
import type { LiveProcedure } from './openCall.ts';
import { type AnyResult, bufferFull, isCancellation, judgeResponse, unsendable } from './response.ts';
import type { SharedValue } from './sharedValue.ts';

/** What saying something needs of the server. */
export interface RespondingHost {
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  readonly stripUndeclared: boolean;
}

/**
 * What a server's call says: results are judged by their schema before they leave, and what cannot be sent ends the call with an error. A base class
 * and not an object of its own: there is one for every call.
 */
export abstract class RespondingCall extends CallLifecycle {
  readonly procedure: LiveProcedure;
  protected readonly host: RespondingHost;

  constructor(host: RespondingHost, port: SessionPort, opening: IncomingMessage, procedure: LiveProcedure) {
    const { serviceName, procedureName } = procedure;
    const attributes = { 'holdfast.stream_id': opening.streamId, 'holdfast.session_id': port.id };
    const name = `server.${serviceName}.${procedureName}`;
    super(port, opening.streamId, host.telemetry.startSpan(name, 'server', attributes, opening.tracing));
    this.procedure = procedure;
    this.host = host;
  }

  /** Ends the call from this side: the client gets `error` with the cancel flag. */
  cancel(error: ErrorPayload): void {
    if (this.hasEnded) return;
    sendCancel(this.port, this.streamId, error);
    this.finish(error);
  }

  onOverflow(message: string): void {
    this.log('warn', message);
    this.cancel(
      bufferFull('nobody reads what this call sends, and there is no room for more', this.port.speaksExtensions),
    );
  }

  writeValue(value: AnyResult): void {
    this.send(value, 0);
  }

  writeShared(shared: SharedValue): void {
    const judge = () => judgeResponse(this.procedure, shared.value, this.host.stripUndeclared);
    let payload: SharedPayload;
    try {
      payload = shared.payloadFor(this.procedure, judge);
    } catch (error) {
      return this.#isNoResponse(error);
    }
    // The cast: what judgeResponse made.
    this.transmit(payload.value as AnyResult, 0, payload);
  }

  /** Sends a result if it fits its schema. Returns false if it did not go out; then the call has ended. */
  protected send(response: unknown, controlFlags: number): boolean {
    let result: AnyResult;
    try {
      result = judgeResponse(this.procedure, response, this.host.stripUndeclared);
    } catch (error) {
      this.#isNoResponse(error);
      return false;
    }
    return this.transmit(result, controlFlags);
  }

  #isNoResponse(error: unknown): void {
    this.log('error', 'the response does not fit its schema', error);
    this.cancel({ code: UNCAUGHT_ERROR_CODE, message: 'internal server error' });
  }

  /** @param payload the result, where it goes to others, too */
  protected transmit(result: AnyResult, controlFlags: number, payload: AnyResult | SharedPayload = result): boolean {
    if (!result.ok && isCancellation(result)) {
      this.cancel(result.payload);
      return false;
    }
    try {
      this.port.send({ streamId: this.streamId, controlFlags, payload });
      if (!result.ok) this.failSpan(result.payload);
      return true;
    } catch (error) {
      if (!this.port.isOpen) return false;
      this.log('error', 'a response could not be sent', error);
      this.cancel(unsendable(error, this.port.speaksExtensions));
      return false;
    }
  }

  protected log(level: LogLevel, message: string, error?: unknown, code?: string): void {
    const { logger } = this.host;
    if (!logger.enabled(level)) return;
    logger.log(level, message, {
      clientId: this.port.from,
      connectedTo: this.port.to,
      sessionId: this.port.id,
      streamId: this.streamId,
      service: this.procedure.serviceName,
      procedure: this.procedure.procedureName,
      code,
      error,
    });
  }
}
