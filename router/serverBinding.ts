import type { LogFields, Logger, LogLevel } from '../transport/log.ts';
import { type CallKey, type IncomingMessage, isStreamCancel, isStreamOpen } from '../transport/message.ts';
import type { ServerTransport } from '../transport/server.ts';
import type { SessionPort, StreamOpener } from '../transport/stream.ts';
import type { Telemetry } from '../transport/telemetry.ts';
import { sendCancel } from './callLifecycle.ts';
import { CANCEL_CODE, type ErrorPayload, INVALID_REQUEST_CODE, UNCAUGHT_ERROR_CODE } from './errors.ts';
import { type KeyedCalls, outcomeUnknown } from './keyedCalls.ts';
import { type LiveProcedure, MAX_STREAM_ID_LENGTH, type Opening, openCall, type Routes } from './openCall.ts';
import { bufferFull } from './response.ts';
import { type CallHost, ServerCall } from './serverCall.ts';
import { Tombstones } from './tombstones.ts';

/** What a server's transports share. */
export interface ServerCore {
  readonly routes: Routes;
  readonly exposeErrorMessages: boolean;
  readonly stripUndeclared: boolean;
  readonly maxCancelledStreams: number;
  readonly keyedCalls: KeyedCalls | undefined;
  added(call: ServerCall): void;
  removed(call: ServerCall): void;
  began(): void;
  done(): void;
}

/** Transports whose server was closed, and how to free them for another one. */
const refusals = new WeakMap<ServerTransport, () => void>();

/** What is said to a call that is not executed here. Of a repeat an earlier attempt may have been, perhaps elsewhere. */
function refusalOf(callKey: CallKey | undefined, error: ErrorPayload): ErrorPayload {
  return callKey?.first === undefined ? error : outcomeUnknown(error.message);
}

/** Answers every new call of a closed server: without it a client would wait for ever. */
class Refusal implements StreamOpener {
  onUnclaimedMessage(port: SessionPort, { streamId, controlFlags, callKey }: IncomingMessage): void {
    if (!isStreamOpen(controlFlags) || isStreamCancel(controlFlags)) return;
    sendCancel(port, streamId, refusalOf(callKey, { code: CANCEL_CODE, message: 'server is closed' }));
  }

  onSessionEnded(): void {}
}

/** One transport of a server: makes calls of messages that no open stream waits for. */
export class ServerBinding implements StreamOpener, CallHost {
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  readonly #server: ServerCore;
  readonly #transport: ServerTransport;
  readonly #unbind: () => void;
  readonly #tombstones = new Map<SessionPort, Tombstones>();

  /** @throws {HoldfastError} `ALREADY_BOUND` */
  constructor(server: ServerCore, transport: ServerTransport) {
    this.#server = server;
    this.#transport = transport;
    this.logger = transport.logger;
    this.telemetry = transport.telemetry;
    refusals.get(transport)?.();
    refusals.delete(transport);
    this.#unbind = transport.bindOpener(this);
  }

  get exposeErrorMessages(): boolean {
    return this.#server.exposeErrorMessages;
  }

  get keyedCalls(): KeyedCalls | undefined {
    return this.#server.keyedCalls;
  }

  get stripUndeclared(): boolean {
    return this.#server.stripUndeclared;
  }

  /** Leaves the transport to another server. */
  unbind(): void {
    this.#unbind();
    this.#tombstones.clear();
  }

  /** From now on every new call is refused, until another server takes the transport over. */
  refuse(): void {
    this.unbind();
    refusals.set(this.#transport, this.#transport.bindOpener(new Refusal()));
  }

  onUnclaimedMessage(port: SessionPort, message: IncomingMessage): void {
    const opening = this.#judge(port, message);
    switch (opening.kind) {
      case 'call':
        return this.#open(port, message, opening.procedure);
      case 'rejected':
        return this.#reject(port, message, opening.error);
      case 'ignored':
        return;
      default:
        opening satisfies never;
    }
  }

  onSessionEnded(port: SessionPort): void {
    this.#tombstones.delete(port);
  }

  onCallEnded(call: ServerCall, mayHearMore: boolean): void {
    this.#server.removed(call);
    if (mayHearMore) this.#bury(call.port, call.streamId);
  }

  began(): void {
    this.#server.began();
  }

  done(): void {
    this.#server.done();
  }

  log(level: LogLevel, message: string, fields: LogFields): void {
    if (this.logger.enabled(level)) this.logger.log(level, message, fields);
  }

  #judge(port: SessionPort, message: IncomingMessage): Opening {
    const isGone = this.#tombstones.get(port)?.has(message.streamId) ?? false;
    if (message.hasNoRoom === true && !isGone) {
      const error = bufferFull('the server has no room for the init of this call', port.speaksExtensions);
      return { kind: 'rejected', error };
    }
    try {
      return openCall(message, this.#server.routes, isGone, port.speaksExtensions);
    } catch (error) {
      // A schema's own check threw: nobody is to blame but this server.
      this.log('error', 'a request could not be checked', { streamId: message.streamId, sessionId: port.id, error });
      return { kind: 'rejected', error: { code: UNCAUGHT_ERROR_CODE, message: 'internal server error' } };
    }
  }

  #open(port: SessionPort, message: IncomingMessage, procedure: LiveProcedure): void {
    const call = new ServerCall(this, port, message, procedure);
    try {
      port.openStream(message.streamId, call);
    } catch (error) {
      const text = error instanceof Error ? error.message : 'the stream could not be opened';
      return call.cancel(refusalOf(message.callKey, { code: INVALID_REQUEST_CODE, message: text }));
    }
    this.#server.added(call);
    call.start();
  }

  #reject(port: SessionPort, message: IncomingMessage, fault: ErrorPayload): void {
    const error = refusalOf(message.callKey, fault);
    this.log('warn', fault.message, {
      clientId: port.from,
      connectedTo: port.to,
      sessionId: port.id,
      streamId: message.streamId,
      code: error.code,
    });
    sendCancel(port, message.streamId, error);
    this.#bury(port, message.streamId);
  }

  #bury(port: SessionPort, streamId: string): void {
    if (!port.isOpen || streamId.length > MAX_STREAM_ID_LENGTH) return;
    let tombstones = this.#tombstones.get(port);
    if (tombstones === undefined) {
      tombstones = new Tombstones(this.#server.maxCancelledStreams);
      this.#tombstones.set(port, tombstones);
    }
    tombstones.add(streamId);
  }
}
