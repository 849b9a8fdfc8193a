import type { ClientTransport } from '../transport/client.ts';
import { InvalidOptionsError } from '../transport/errors.ts';
import type { CallOptions } from './callOptions.ts';
import type { CallKind, ClientCall } from './clientCall.ts';
import type { Client } from './clientTypes.ts';
import type { ErrorPayload } from './errors.ts';
import type { ClientHandshakeOptions } from './handshake.ts';
import { keyFault } from './idempotencyKey.ts';
import { KeyedRpc } from './keyedRpc.ts';
import { ReadableQueue } from './readable.ts';
import { type Caller, PendingResult, startCall } from './startCall.ts';
import { WritableHalf } from './writable.ts';

/** Options of {@link createClient}. */
export interface ClientOptions {
  /** Connects at once, and not at the first call. True by default. */
  eagerlyConnect?: boolean | undefined;
  /** A call connects if need be. Otherwise calls without a session fail with `UNEXPECTED_DISCONNECT`. True by default. */
  connectOnInvoke?: boolean | undefined;
  /** How to introduce oneself; kept by the transport, for all clients on it. */
  handshakeOptions?: ClientHandshakeOptions | undefined;
}

/** A call that nothing was sent of: its writable has ended before it began. */
function writableOf(call: ClientCall | undefined): WritableHalf<unknown> {
  return call?.writable ?? new WritableHalf<unknown>(undefined, 'nothing of it was sent');
}

/** @throws {CodecError | InvalidOptionsError} */
function startKeyedRpc(
  caller: Caller,
  kind: CallKind,
  init: unknown,
  { idempotencyKey: _key, ...options }: CallOptions,
  key: string,
  result: PendingResult,
): void {
  const fault = keyFault(key);
  if (fault !== undefined) throw new InvalidOptionsError(fault);
  new KeyedRpc(caller, kind, key, init, options, result).start();
}

/** By the methods of a procedure. */
const transports = new WeakMap<object, ClientTransport>();

/**
 * Calls `fn` when the transport is closed that the calls of a procedure go over, at once if it is.
 * @param procedure such as `client.docs.changes`; of what no client made nothing is known
 * @param fn is told whose transport it was
 * @returns what withdraws it
 */
export function onceTransportClosed(procedure: object, fn: (clientId: string) => void): () => void {
  const transport = transports.get(procedure);
  if (transport === undefined) return () => undefined;
  const listener = ({ status }: { status: 'open' | 'closed' }): void => {
    if (status !== 'closed') return;
    transport.removeEventListener('transportStatus', listener);
    fn(transport.clientId);
  };
  transport.addEventListener('transportStatus', listener);
  if (transport.getStatus() === 'closed') listener({ status: 'closed' });
  return () => transport.removeEventListener('transportStatus', listener);
}

/** The methods of one procedure. Which of them exist for whom is the business of types alone. */
function procedureMethods(caller: Caller, serviceName: string, procedureName: string): object {
  const kind = (closesRequest: boolean, isSingle: boolean): CallKind => ({
    serviceName,
    procedureName,
    closesRequest,
    isSingle,
  });
  const rpcKind = kind(true, true);
  const uploadKind = kind(false, true);
  const subscriptionKind = kind(true, false);
  const streamKind = kind(false, false);
  const methods = {
    rpc(init: unknown, options: CallOptions = {}) {
      const result = new PendingResult();
      try {
        if (options.idempotencyKey === undefined) startCall(caller, rpcKind, init, options, result);
        else startKeyedRpc(caller, rpcKind, init, options, options.idempotencyKey, result);
      } catch (error) {
        return Promise.reject(error);
      }
      return result.promise;
    },
    upload(init: unknown, options: CallOptions = {}) {
      const result = new PendingResult();
      const reqWritable = writableOf(startCall(caller, uploadKind, init, options, result));
      const finalize = () => {
        reqWritable.close();
        return result.promise;
      };
      return { reqWritable, finalize };
    },
    subscribe(init: unknown, options: CallOptions = {}) {
      const resReadable = new ReadableQueue<unknown, ErrorPayload>(
        (cost) => call?.onRead(cost),
        () => call?.cancel(),
      );
      const call = startCall(caller, subscriptionKind, init, options, resReadable);
      return { resReadable };
    },
    stream(init: unknown, options: CallOptions = {}) {
      const resReadable = new ReadableQueue<unknown, ErrorPayload>((cost) => call?.onRead(cost));
      const call = startCall(caller, streamKind, init, options, resReadable);
      return { reqWritable: writableOf(call), resReadable };
    },
  };
  transports.set(methods, caller.transport);
  return methods;
}

/**
 * An object that has every property, made when it is first asked for. Except `then`, so that it can be awaited, and
 * symbols, so that it can be printed and compared.
 */
function everyName(make: (name: string) => object): object {
  const known = new Map<string, object>();
  return new Proxy(Object.freeze({}), {
    get(_target, name) {
      if (typeof name !== 'string' || name === 'then') return undefined;
      let value = known.get(name);
      if (value === undefined) {
        value = make(name);
        known.set(name, value);
      }
      return value;
    },
  });
}

/**
 * A client of the services a server serves, made of their type alone. Calls do not throw: what goes wrong is their
 * result. The exceptions are mistakes of the caller, a request that cannot be encoded and options out of range: there an
 * rpc rejects and the other kinds throw. Several clients may share a transport.
 * @throws {TransportClosedError} if it is to connect at once and the transport is closed
 */
export function createClient<Services extends Record<string, { readonly procedures: object }>>(
  transport: ClientTransport,
  serverId: string = 'SERVER',
  { eagerlyConnect = true, connectOnInvoke = true, handshakeOptions }: ClientOptions = {},
): Client<Services> {
  if (handshakeOptions !== undefined) transport.setHandshake(handshakeOptions);
  if (eagerlyConnect) transport.connect(serverId);
  const caller: Caller = { transport, serverId, connectOnInvoke };
  const client = everyName((serviceName) =>
    everyName((procedureName) => procedureMethods(caller, serviceName, procedureName)),
  );
  return client as Client<Services>; // it has every service and procedure, so those of Services among them
}
