import { InvalidOptionsError } from '../transport/errors.ts';
import { createContextFactory } from './context.ts';
import type { AnyMiddleware } from './middleware.ts';
import type { LiveProcedure, Routes } from './openCall.ts';
import type { AnyProcedure } from './procedures.ts';
import { compileSchema, type PayloadSchema } from './schema.ts';
import type { AnyServiceSchemaMap, Service } from './services.ts';

/** Services with their state made and their schemas compiled. */
export interface LiveServices {
  readonly routes: Routes;
  readonly services: Record<string, Service<object, object>>;
}

/**
 * Makes the states of services and compiles their schemas, so that a schema that cannot work is found when a server
 * starts and not at a call.
 * @throws {InvalidOptionsError} for a name that no client could call, and for what is no schema
 */
export function createRoutes(
  schemas: AnyServiceSchemaMap,
  extendedContext: object,
  middlewares: readonly AnyMiddleware[],
): LiveServices {
  const routes = new Map<string, ReadonlyMap<string, LiveProcedure>>();
  const services: Record<string, Service<object, object>> = {};
  for (const [serviceName, schema] of Object.entries(schemas)) {
    assertCallable(serviceName);
    const state = schema.initializeState(extendedContext as never); // createServer's type asked for what it takes
    const createContext = createContextFactory(extendedContext, state);
    const all = [...middlewares, ...schema.middlewares];
    const procedures = new Map<string, LiveProcedure>();
    for (const [procedureName, procedure] of Object.entries(schema.procedures as Record<string, AnyProcedure>)) {
      assertCallable(procedureName);
      const { type, requestInit, requestData, responseData, responseError, handler } = procedure;
      const compile = (schema: PayloadSchema, name: string) =>
        compileSchema(schema, `${serviceName}.${procedureName}, ${name}`);
      procedures.set(procedureName, {
        serviceName,
        procedureName,
        type,
        init: compile(requestInit, 'requestInit'),
        requestData: requestData === undefined ? undefined : compile(requestData, 'requestData'),
        responseData: compile(responseData, 'responseData'),
        responseError: compile(responseError, 'responseError'),
        middlewares: all,
        createContext,
        handler,
      });
    }
    routes.set(serviceName, procedures);
    Object.defineProperty(services, serviceName, {
      value: { state, procedures: schema.procedures },
      enumerable: true,
    });
  }
  return { routes, services };
}

// A client must be awaitable without calling anything, so it has no property `then`.
function assertCallable(name: string): void {
  if (name === 'then') throw new InvalidOptionsError("no service or procedure can be named 'then'");
}
