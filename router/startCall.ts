import type { ClientTransport } from '../transport/client.ts';
import { InvalidOptionsError, TransportClosedError } from '../transport/errors.ts';
import type { CallKey } from '../transport/message.ts';
import type { SessionPort } from '../transport/stream.ts';
import type { CallOptions } from './callOptions.ts';
import { CANCELLED, type CallKind, ClientCall, deadlineExceeded, type ResultSink } from './clientCall.ts';
import { type ErrorPayload, UNCAUGHT_ERROR_CODE, UNEXPECTED_DISCONNECT_CODE } from './errors.ts';
import { Err, type Result } from './result.ts';

/** Who calls whom. */
export interface Caller {
  readonly transport: ClientTransport;
  readonly serverId: string;
  readonly connectOnInvoke: boolean;
}

/** The one result of an rpc or upload. Its promise never rejects. */
export class PendingResult implements ResultSink {
  readonly promise: Promise<Result<unknown, ErrorPayload>>;
  /** Undefined once there is a result. */
  #resolve: ((result: Result<unknown, ErrorPayload>) => void) | undefined;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  push(result: Result<unknown, ErrorPayload>): boolean {
    this.#resolve?.(result);
    this.#resolve = undefined;
    return false;
  }

  close(): void {
    if (this.#resolve === undefined) return;
    this.push(Err({ code: UNCAUGHT_ERROR_CODE, message: 'the server closed the call without a result' }));
  }
}

type Line = { port: SessionPort } | { error: ErrorPayload };

function disconnected(message: string): Line {
  return { error: { code: UNEXPECTED_DISCONNECT_CODE, message } };
}

/** The session to make a call on, or why there is none. */
function findLine({ transport, serverId, connectOnInvoke }: Caller, { offline }: CallOptions): Line {
  if (transport.getStatus() === 'closed') return disconnected(`transport ${transport.clientId} is closed`);
  let port: SessionPort | undefined;
  try {
    port = connectOnInvoke ? transport.openSession(serverId) : transport.findSession(serverId);
  } catch (error) {
    if (error instanceof TransportClosedError) return disconnected(error.message);
    throw error;
  }
  if (port === undefined) return disconnected(`there is no session with ${serverId}, and connectOnInvoke is false`);
  if (offline === 'fail' && !port.isConnected) return disconnected(`not connected to ${serverId}`);
  return { port };
}

function lineFor(caller: Caller, options: CallOptions): Line {
  const { signal, timeoutMs } = options;
  // A text would be compared as a number, and added as a text.
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
    throw new InvalidOptionsError(`timeoutMs must be a number from 0, got ${timeoutMs} (${typeof timeoutMs})`);
  }
  if (options.idempotencyKey !== undefined)
    throw new InvalidOptionsError('idempotencyKey is for an rpc: other calls cannot be repeated');
  if (signal?.aborted === true) return { error: CANCELLED };
  if (timeoutMs === 0) return { error: deadlineExceeded(timeoutMs) };
  return findLine(caller, options);
}

/**
 * Makes a call. Whatever comes of it comes to `sink`.
 * @returns undefined if nothing was sent, nor will be
 * @throws {CodecError | InvalidOptionsError} mistakes of the caller, and nothing else
 */
export function startCall(
  caller: Caller,
  kind: CallKind,
  init: unknown,
  options: CallOptions,
  sink: ResultSink,
  callKey?: CallKey | undefined,
): ClientCall | undefined {
  const line = lineFor(caller, options);
  if ('error' in line) {
    sink.push(Err(line.error));
    sink.close();
    return undefined;
  }
  const { port } = line;
  const { transport } = caller;
  const streamId = port.newStreamId();
  const span = transport.telemetry.startSpan(`client.${kind.serviceName}.${kind.procedureName}`, 'client', {
    'holdfast.stream_id': streamId,
    'holdfast.session_id': port.id,
  });
  const call = new ClientCall(port, streamId, span, kind, sink, transport.logger);
  call.open(init, options, callKey);
  return call;
}
