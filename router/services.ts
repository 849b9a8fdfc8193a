import type { ProcedureHandlerContext } from './context.ts';
import type { AnyMiddleware, Middleware } from './middleware.ts';
import type { ProcedureFor } from './procedures.ts';

/** Procedures by name, all content with one context. */
export type ProcedureMap<Ctx> = Record<string, ProcedureFor<Ctx>>;

/** What a service needs besides its procedures. */
export interface ServiceConfiguration<State extends object, Context extends object> {
  /**
   * Makes the state that all calls of one server share. If it has `Symbol.asyncDispose` or `Symbol.dispose`,
   * `server.close()` calls it. In `define`, annotate its parameter if it takes one: TypeScript types the handlers beside
   * it before it could infer State from a function whose own parameter it has yet to type. A scaffold needs none.
   */
  initializeState: (extendedContext: Context) => State;
}

/** What a service needs of its server. A function, so that the needs of several services add up. */
export type ServiceNeeds<Context, Metadata> = (needs: { context: Context; metadata: Metadata }) => void;

/** Procedures and the state they share: a definition, from which every server makes its own instance. */
export interface ServiceSchema<Context extends object, Metadata extends object, State extends object, Procedures> {
  readonly procedures: Procedures;
  readonly middlewares: readonly AnyMiddleware[];
  readonly initializeState: (extendedContext: Context) => State;
  /** Type only. */
  readonly '~needs'?: ServiceNeeds<Context, Metadata> | undefined;
}

/** Any service definition. */
export interface AnyServiceSchema {
  readonly procedures: object;
  readonly middlewares: readonly AnyMiddleware[];
  readonly initializeState: (extendedContext: never) => object;
}

/** Services by name: what a server serves, and whose type a client is made of. */
export type AnyServiceSchemaMap = Record<string, AnyServiceSchema>;

/** A service as one server runs it. */
export interface Service<State, Procedures> {
  readonly state: State;
  readonly procedures: Procedures;
}

/** The services of a server, with their states. */
export type InstantiatedServices<Services extends AnyServiceSchemaMap> = {
  readonly [Name in keyof Services]: Service<
    ReturnType<Services[Name]['initializeState']>,
    Services[Name]['procedures']
  >;
};

/** A service whose procedures are defined in several places. */
export interface ServiceScaffold<Context extends object, Metadata extends object, State extends object> {
  /** Types some of the procedures, for {@link finalize} to take. */
  procedures<P extends ProcedureMap<ProcedureHandlerContext<State, Context, Metadata>>>(procedures: P): P;
  /** The service with all of its procedures. */
  finalize<P extends ProcedureMap<ProcedureHandlerContext<State, Context, Metadata>>>(
    procedures: P,
  ): ServiceSchema<Context, Metadata, State, P>;
}

/** Defines services whose handlers see a certain context. */
export interface ServiceSchemaFactory<Context extends object, Metadata extends object> {
  /** A service with state. */
  define<State extends object, P extends ProcedureMap<ProcedureHandlerContext<State, Context, Metadata>>>(
    configuration: ServiceConfiguration<State, Context>,
    procedures: P,
  ): ServiceSchema<Context, Metadata, State, P>;
  /** A service without state: its `ctx.state` is an empty object. */
  define<P extends ProcedureMap<ProcedureHandlerContext<object, Context, Metadata>>>(
    procedures: P,
  ): ServiceSchema<Context, Metadata, object, P>;
  /** A service in pieces: `scaffold.procedures({…})` in several files, `scaffold.finalize({…})` in one. */
  scaffold<State extends object>(
    configuration: ServiceConfiguration<State, Context>,
  ): ServiceScaffold<Context, Metadata, State>;
  /** A factory whose services run this middleware, too, inside those of the server and those added before. */
  middleware(middleware: Middleware<Context, Metadata>): ServiceSchemaFactory<Context, Metadata>;
}

const stateless = { initializeState: (): object => ({}) };

function factory<Context extends object, Metadata extends object>(
  middlewares: readonly AnyMiddleware[],
): ServiceSchemaFactory<Context, Metadata> {
  function scaffold<State extends object>({
    initializeState,
  }: ServiceConfiguration<State, Context>): ServiceScaffold<Context, Metadata, State> {
    return {
      procedures: (procedures) => procedures,
      finalize: (procedures) => ({ procedures, middlewares, initializeState }),
    };
  }

  function define<State extends object, P extends ProcedureMap<ProcedureHandlerContext<State, Context, Metadata>>>(
    configuration: ServiceConfiguration<State, Context>,
    procedures: P,
  ): ServiceSchema<Context, Metadata, State, P>;
  function define<P extends ProcedureMap<ProcedureHandlerContext<object, Context, Metadata>>>(
    procedures: P,
  ): ServiceSchema<Context, Metadata, object, P>;
  function define(
    first: ServiceConfiguration<object, Context> | ProcedureMap<never>,
    second?: ProcedureMap<never>,
  ): ServiceSchema<Context, Metadata, object, ProcedureMap<never>> {
    if (second !== undefined) {
      // The overloads: two arguments mean that the first is a configuration, one that it is the procedures.
      return scaffold(first as ServiceConfiguration<object, Context>).finalize(second as never);
    }
    return scaffold(stateless).finalize(first as never);
  }

  return {
    define,
    scaffold,
    middleware: (middleware) => factory([...middlewares, middleware]),
  };
}

/**
 * Where services come from: `const Service = createServiceSchema<Context, Metadata>()`, then `Service.define(…)`.
 * @template Context what the server must give as `extendedContext`; handlers find it on `ctx`
 * @template Metadata what the handshake's validator must return; handlers find it in `ctx.metadata`
 */
export function createServiceSchema<
  Context extends object = object,
  Metadata extends object = object,
>(): ServiceSchemaFactory<Context, Metadata> {
  return factory([]);
}
