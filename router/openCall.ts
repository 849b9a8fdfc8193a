import {
  HEARTBEAT_STREAM_ID,
  type IncomingMessage,
  isStreamCancel,
  isStreamOpen,
  REHANDSHAKE_STREAM_ID,
} from '../transport/message.ts';
import type { ContextFactory } from './context.ts';
import { type ErrorPayload, INVALID_REQUEST_CODE, type ValidationErrors } from './errors.ts';
import { keyFault } from './idempotencyKey.ts';
import type { AnyMiddleware } from './middleware.ts';
import type { ProcedureKind } from './procedures.ts';
import { type CompiledSchema, describeErrors } from './schema.ts';

/** A procedure as a server runs it. */
export interface LiveProcedure {
  readonly serviceName: string;
  readonly procedureName: string;
  readonly type: ProcedureKind;
  readonly init: CompiledSchema;
  /** What follows the init; undefined for rpc and subscription. */
  readonly requestData: CompiledSchema | undefined;
  readonly responseData: CompiledSchema;
  readonly responseError: CompiledSchema;
  /** The server's, then the service's. */
  readonly middlewares: readonly AnyMiddleware[];
  readonly createContext: ContextFactory;
  readonly handler: (args: never) => unknown;
}

/** Services by name, their procedures by name. Maps, so that `toString` and `__proto__` are names like any other. */
export type Routes = ReadonlyMap<string, ReadonlyMap<string, LiveProcedure>>;

/** What becomes of a message that no open stream waited for. */
export type Opening =
  | { kind: 'call'; procedure: LiveProcedure }
  | { kind: 'rejected'; error: ErrorPayload }
  | { kind: 'ignored' };

/** Longer stream ids are refused: a server remembers some of them. */
export const MAX_STREAM_ID_LENGTH = 256;

const IGNORED: Opening = { kind: 'ignored' };

function rejected(message: string): Opening {
  return { kind: 'rejected', error: { code: INVALID_REQUEST_CODE, message } };
}

/**
 * An invalid request as its sender is told. A River peer gets no `extras`, which its own server would not send, but the
 * same places in the text.
 */
export function invalidPayload(what: string, errors: ValidationErrors, speaksExtensions: boolean): ErrorPayload {
  if (speaksExtensions) return { code: INVALID_REQUEST_CODE, message: what, extras: errors };
  return { code: INVALID_REQUEST_CODE, message: `${what}: ${describeErrors(errors)}` };
}

// Names are the peer's and go back to it in a text: not at any length.
function show(name: string): string {
  return name.length > 64 ? `${name.slice(0, 64)}…` : name;
}

/**
 * Decides what a message that no open stream waited for begins. Whether the client has closed its half already (flag 8)
 * is no matter of validity: an rpc whose opening message lacks it runs all the same, as at a River server, and its client
 * may close later.
 * @param isGone the stream was open before, and late messages for it are expected
 */
export function openCall(
  message: IncomingMessage,
  routes: Routes,
  isGone: boolean,
  speaksExtensions: boolean,
): Opening {
  const { streamId, controlFlags, serviceName, procedureName } = message;
  // A cancel crosses with the end of its call every day: there is nothing left to cancel, and nothing to say.
  if (isGone || isStreamCancel(controlFlags)) return IGNORED;
  if (!isStreamOpen(controlFlags)) return rejected('no such call, and this message does not open one');
  if (streamId.length > MAX_STREAM_ID_LENGTH) return rejected(`the stream id is longer than ${MAX_STREAM_ID_LENGTH}`);
  if (streamId === HEARTBEAT_STREAM_ID || streamId === REHANDSHAKE_STREAM_ID) {
    return rejected(`the stream id ${streamId} is reserved`);
  }
  if (serviceName === undefined) return rejected('missing service name in stream open message');
  if (procedureName === undefined) return rejected('missing procedure name in stream open message');
  const procedures = routes.get(serviceName);
  if (procedures === undefined) return rejected(`couldn't find service ${show(serviceName)}`);
  const procedure = procedures.get(procedureName);
  if (procedure === undefined) {
    return rejected(`couldn't find a matching procedure for ${show(serviceName)}.${show(procedureName)}`);
  }
  const { callKey } = message;
  if (callKey !== undefined && procedure.type !== 'rpc') return rejected('an idempotency key is for an rpc');
  const fault = callKey === undefined ? undefined : keyFault(callKey.key);
  if (fault !== undefined) return rejected(fault);
  if (procedure.init.check(message.payload)) return { kind: 'call', procedure };
  const errors = procedure.init.errors(message.payload);
  return { kind: 'rejected', error: invalidPayload('procedure init failed validation', errors, speaksExtensions) };
}
