import type { Clock } from '../transport/clock.ts';
import { InvalidOptionsError, TransportClosedError } from '../transport/errors.ts';
import type { LogFields, LogLevel } from '../transport/log.ts';
import type { ServerTransport } from '../transport/server.ts';
import { CallList } from './callList.ts';
import { CANCEL_CODE } from './errors.ts';
import { type IdempotencyOptions, KeyedCalls, type KeyedCallsHost } from './keyedCalls.ts';
import type { AnyMiddleware, Middleware } from './middleware.ts';
import type { Routes } from './openCall.ts';
import { createRoutes } from './routes.ts';
import { ServerBinding, type ServerCore } from './serverBinding.ts';
import type { ServerCall } from './serverCall.ts';
import type { ServerHandshakeOptions } from './serverHandshake.ts';
import type { AnyServiceSchemaMap, InstantiatedServices, Service } from './services.ts';

/** A call that has not ended. */
export interface OpenCall {
  readonly streamId: string;
  readonly sessionId: string;
  /** The caller's client id. */
  readonly from: string;
  readonly serviceName: string;
  readonly procedureName: string;
}

/** Serves services over one or several transports. */
export interface Server<Services extends AnyServiceSchemaMap> {
  /** The services with their states. */
  readonly services: InstantiatedServices<Services>;
  /** Calls that have not ended; a snapshot. */
  readonly streams: ReadonlyMap<string, OpenCall>;
  /** How many there are. */
  readonly openCalls: number;
  /** Handlers and deferred cleanups that have not settled: a handler may outlive its call. */
  readonly running: number;
  /**
   * Ends every open call with `CANCEL`, answers every later one so, waits for handlers and cleanups (up to
   * `closeTimeoutMs`), then disposes of the states. Calls with a key are told what came of them, or `OUTCOME_UNKNOWN`. The transports stay open. Calling it again returns the same promise.
   */
  close(): Promise<void>;
}

/** Options that no service can require. */
export interface CommonServerOptions<Context extends object, Metadata> {
  /** Run around every handler, the first outermost, outside those of the services. */
  middlewares?: readonly Middleware<Context, Metadata>[] | undefined;
  /**
   * Removes from responses what their schemas do not declare. Off by default, and then TypeBox lets a `passwordHash`
   * that a handler forgot about through. Costs a copy of every response.
   */
  stripUndeclaredResponseProperties?: boolean | undefined;
  /** Lets the text of what handlers throw cross the wire, as River does, instead of 'internal server error'. */
  exposeErrorMessages?: boolean | undefined;
  /** How many ended streams a session remembers, so that late messages are not answered with errors. 200. */
  maxCancelledStreams?: number | undefined;
  /**
   * Makes rpcs with an `idempotencyKey` repeatable: one that is called again has its effect once, and gets the outcome of
   * then. Without it they are refused by clients, and nothing is sent.
   */
  idempotency?: IdempotencyOptions | undefined;
  /** How long {@link Server.close} waits for handlers whose calls it ended. 1 000. */
  closeTimeoutMs?: number | undefined;
}

/** Options of {@link createServer}; `extendedContext` and `handshakeOptions` are required where a service needs them. */
export type ServerOptions<Context extends object = object, Metadata extends object = object> = CommonServerOptions<
  Context,
  Metadata
> &
  (object extends Context ? { extendedContext?: Context | undefined } : { extendedContext: Context }) &
  (object extends Metadata
    ? { handshakeOptions?: ServerHandshakeOptions<Metadata> | undefined }
    : { handshakeOptions: ServerHandshakeOptions<Metadata> });

/** Any services; their needs add up. */
type NeedsOf<Services> = Services[keyof Services] extends {
  readonly '~needs'?: ((needs: infer Needs) => void) | undefined;
}
  ? Needs
  : never;

type ContextOf<Services> = NeedsOf<Services> extends { context: infer C extends object } ? C : object;
type MetadataOf<Services> = NeedsOf<Services> extends { metadata: infer M extends object } ? M : object;

/** The options as an argument, absent where nothing in them is required. */
export type ServerArguments<Services> =
  object extends ContextOf<Services>
    ? object extends MetadataOf<Services>
      ? [options?: ServerOptions<ContextOf<Services>, MetadataOf<Services>> | undefined]
      : [options: ServerOptions<ContextOf<Services>, MetadataOf<Services>>]
    : [options: ServerOptions<ContextOf<Services>, MetadataOf<Services>>];

/** The options as the server reads them: every type in them has done its work by then. */
interface SettledOptions extends Omit<CommonServerOptions<object, object>, 'middlewares'> {
  readonly middlewares?: readonly AnyMiddleware[] | undefined;
  readonly extendedContext?: object | undefined;
  readonly handshakeOptions?: ServerHandshakeOptions | undefined;
}

const DEFAULT_MAX_CANCELLED_STREAMS = 200;
const DEFAULT_CLOSE_TIMEOUT_MS = 1_000;

class ServiceServer implements Server<AnyServiceSchemaMap>, ServerCore, KeyedCallsHost {
  readonly services: Record<string, Service<object, object>>;
  readonly routes: Routes;
  readonly exposeErrorMessages: boolean;
  readonly stripUndeclared: boolean;
  readonly maxCancelledStreams: number;
  readonly keyedCalls: KeyedCalls | undefined;
  readonly #calls = new CallList();
  readonly #bindings: ServerBinding[] = [];
  readonly clock: Clock;
  readonly #closeTimeoutMs: number;
  #running = 0;
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(transports: readonly ServerTransport[], schemas: AnyServiceSchemaMap, options: SettledOptions) {
    const [first] = transports;
    if (first === undefined) throw new InvalidOptionsError('a server needs at least one transport');
    const closed = transports.find((transport) => transport.getStatus() === 'closed');
    if (closed !== undefined) throw new TransportClosedError(closed.clientId, 'serving');
    this.clock = first.clock;
    this.exposeErrorMessages = options.exposeErrorMessages ?? false;
    this.stripUndeclared = options.stripUndeclaredResponseProperties ?? false;
    this.maxCancelledStreams = options.maxCancelledStreams ?? DEFAULT_MAX_CANCELLED_STREAMS;
    this.#closeTimeoutMs = options.closeTimeoutMs ?? DEFAULT_CLOSE_TIMEOUT_MS;
    const live = createRoutes(schemas, options.extendedContext ?? {}, options.middlewares ?? []);
    this.routes = live.routes;
    this.services = live.services;
    this.keyedCalls = options.idempotency === undefined ? undefined : new KeyedCalls(this, options.idempotency);
    try {
      for (const transport of transports) this.#bindings.push(new ServerBinding(this, transport));
    } catch (error) {
      for (const binding of this.#bindings) binding.unbind(); // all of them or none
      this.keyedCalls?.abort('it was never opened');
      throw error;
    }
    for (const transport of transports) transport.setIdempotency(this.keyedCalls?.terms);
    if (options.handshakeOptions === undefined) return;
    for (const transport of transports) transport.setHandshake(options.handshakeOptions);
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  get running(): number {
    return this.#running;
  }

  get streams(): ReadonlyMap<string, OpenCall> {
    const streams = new Map<string, OpenCall>();
    for (const { streamId, port, procedure } of this.#calls.all()) {
      const { serviceName, procedureName } = procedure;
      // Stream ids are unique within a session only: two clients may use the same.
      const key = streams.has(streamId) ? `${port.id} ${streamId}` : streamId;
      streams.set(key, { streamId, sessionId: port.id, from: port.to, serviceName, procedureName });
    }
    return streams;
  }

  added(call: ServerCall): void {
    this.#calls.add(call);
  }

  removed(call: ServerCall): void {
    this.#calls.remove(call);
  }

  began(): void {
    this.#running += 1;
  }

  done(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#onIdle?.();
  }

  log(level: LogLevel, message: string, fields: LogFields): void {
    // Every transport has its own logger, and may have another sink.
    for (const binding of this.#bindings) binding.log(level, message, fields);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const message = 'server is closing';
    // What came of a call with a key is still said: whoever hears nothing would not know.
    for (const call of this.#calls.all()) if (!call.isKeyed) call.cancel({ code: CANCEL_CODE, message });
    this.keyedCalls?.abort(message);
    for (const binding of this.#bindings) binding.refuse();
    await this.#idle();
    this.keyedCalls?.close();
    for (const [name, { state }] of Object.entries(this.services)) await this.#dispose(name, state);
  }

  /** Resolves when nothing runs any more, or the time for it is over. */
  #idle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.clock.after(this.#closeTimeoutMs, resolve);
      this.#onIdle = () => {
        stop();
        resolve();
      };
    });
  }

  async #dispose(name: string, state: object): Promise<void> {
    const { [Symbol.asyncDispose]: disposeAsync, [Symbol.dispose]: dispose } = state as Partial<
      AsyncDisposable & Disposable
    >; // both are looked for, neither is assumed
    try {
      if (disposeAsync !== undefined) await disposeAsync.call(state);
      else dispose?.call(state);
    } catch (error) {
      this.log('error', 'disposing of a state failed', { service: name, error });
    }
  }
}

/**
 * Serves services over a transport, or over several with one state behind them.
 * @throws {HoldfastError} `ALREADY_BOUND` if one of the transports serves another router that is not closed
 * @throws {InvalidOptionsError | TransportClosedError}
 */
export function createServer<Services extends AnyServiceSchemaMap>(
  transport: ServerTransport | readonly ServerTransport[],
  services: Services,
  ...[options]: ServerArguments<Services>
): Server<Services> {
  const transports = Array.isArray(transport)
    ? (transport as readonly ServerTransport[])
    : [transport as ServerTransport];
  // The casts: Services says what the states and options are; the server treats all services alike.
  return new ServiceServer(
    transports,
    services,
    (options ?? {}) as SettledOptions,
  ) as Server<AnyServiceSchemaMap> as Server<Services>;
}
