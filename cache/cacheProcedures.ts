import {
  type CallContext,
  Err,
  type Infer,
  Ok,
  type PayloadSchema,
  Procedure,
  type ProcedureHandlerContext,
  type RpcProcedure,
  type Writable,
} from '../router/index.ts';
import { askPermission, type Permission } from '../watch/authorization.ts';
import { createMirror } from '../watch/mirror.ts';
import { checkFunction } from '../watch/shape.ts';
import { type TopicProcedure, topicProcedure } from '../watch/topicProcedure.ts';
import type { Cache } from './cache.ts';
import { failureOf, NOT_AUTHORIZED_CODE } from './errors.ts';
import type { Line } from './line.ts';
import {
  type CacheEvent,
  CacheEventSchema,
  CacheFailureSchema,
  cachedValueSchema,
  GetRequestSchema,
  InvalidatedSchema,
  InvalidateRequestSchema,
} from './messages.ts';

/** What a caller wants to do. */
export type CacheQuestion<Ctx> =
  | { readonly action: 'get'; readonly ctx: Ctx; readonly key: string; readonly fresh: boolean }
  | { readonly action: 'invalidate'; readonly ctx: Ctx; readonly key: string }
  /** Follow which keys change: these, or all. A hop follows all; it hears keys, never values. */
  | { readonly action: 'changes'; readonly ctx: Ctx; readonly keys: readonly string[] | undefined };

/** Options of {@link cacheProcedures}. */
export interface CacheProceduresOptions<S extends PayloadSchema, Ctx> {
  /** Describes a value. */
  value: S;
  /**
   * Whether a caller may: `true`, or a signal that takes the permission to follow back. `false` refuses for good; what it throws, or
   * rejects with, is the handler's failure, and permits nothing.
   */
  authorize: (question: CacheQuestion<Ctx>) => Permission | Promise<Permission>;
}

/** The procedures of a cache, for a service of any name. */
export type CacheProcedures<Ctx, S extends PayloadSchema> = {
  readonly get: RpcProcedure<
    Ctx,
    typeof GetRequestSchema,
    ReturnType<typeof cachedValueSchema<S>>,
    typeof CacheFailureSchema
  >;
  readonly invalidate: RpcProcedure<
    Ctx,
    typeof InvalidateRequestSchema,
    typeof InvalidatedSchema,
    typeof CacheFailureSchema
  >;
  readonly changes: TopicProcedure<Ctx, typeof CacheEventSchema>;
};

const refused = () => Err({ code: NOT_AUTHORIZED_CODE, message: 'you may not do this' });

/** Serves a cache to the next hop. `relayCache(client.docs)` on the other side is all that hop needs. */
export function cacheProcedures<S extends PayloadSchema, Ctx = ProcedureHandlerContext>(
  cache: Cache<Infer<S>>,
  { value, authorize }: CacheProceduresOptions<S, Ctx>,
): CacheProcedures<Ctx, S> {
  checkFunction('authorize', authorize);
  const { hop } = cache;
  const source = hop.changes((options) => createMirror<CacheEvent>(options));
  const isAllowed = async (question: CacheQuestion<Ctx>) =>
    (await askPermission(() => authorize(question))) !== undefined;
  // The cast: whatever a service adds to it, the context of a handler is that of a call.
  const callOf = (ctx: Ctx) => ctx as CallContext<unknown, unknown>;

  const changes = topicProcedure<typeof CacheEventSchema, Ctx>(source, {
    event: CacheEventSchema,
    key: ({ key }) => key,
    authorize: ({ ctx, keys }) => authorize({ action: 'changes', ctx, keys }),
    description: 'The keys whose values are dropped.',
  });

  return {
    get: Procedure.rpc<typeof GetRequestSchema, PayloadSchema, typeof CacheFailureSchema, Ctx>({
      requestInit: GetRequestSchema,
      responseData: cachedValueSchema(value),
      responseError: CacheFailureSchema,
      description: 'The value of a key.',
      async handler({ ctx, reqInit: { key, fresh = false, atLeast, hops = 0 } }) {
        if (!(await isAllowed({ action: 'get', ctx, key, fresh }))) return refused();
        try {
          return Ok({ value: await hop.read(key, { fresh, atLeast, hops }, () => callOf(ctx).callOptions) });
        } catch (error) {
          return Err(failureOf(error));
        }
      },
      // The cast: what cachedValueSchema describes while S is open, which TypeScript does not look into.
    }) as CacheProcedures<Ctx, S>['get'],
    invalidate: Procedure.rpc<typeof InvalidateRequestSchema, typeof InvalidatedSchema, typeof CacheFailureSchema, Ctx>(
      {
        requestInit: InvalidateRequestSchema,
        responseData: InvalidatedSchema,
        responseError: CacheFailureSchema,
        description: 'Has every cache drop the value of a key; the answer says where that is in the history.',
        async handler({ ctx, reqInit: { key, hops = 0 } }) {
          if (!(await isAllowed({ action: 'invalidate', ctx, key }))) return refused();
          try {
            return Ok({ position: await hop.request(key, hops, callOf(ctx).callOptions) });
          } catch (error) {
            return Err(failureOf(error));
          }
        },
      },
    ),
    changes: {
      ...changes,
      async handler(args) {
        if (await untilLive(hop.line, callOf(args.ctx), args.resWritable)) await changes.handler(args);
      },
    },
  };
}

/**
 * Waits until a cache hears itself what it is to pass on, and ends the call when it no longer does: the next hop must know that
 * it is cut off, however far up that is. A cache that is its own upstream never gets to be live.
 * @returns whether the call is still open
 */
async function untilLive(
  line: Line,
  call: CallContext<unknown, unknown>,
  writable: Pick<Writable<never>, 'isWritable'>,
): Promise<boolean> {
  await new Promise<void>((resolve) => {
    let wasLive = false;
    const look = (): void => {
      const { state } = line;
      if (state === 'live') wasLive = true;
      else if (!wasLive && (state === 'connecting' || state === 'lost')) return;
      else call.cancel(`the cache is ${state}: it does not hear what is dropped`);
      resolve();
    };
    const stop = line.onChange(look);
    call.deferCleanup(() => {
      stop();
      resolve();
    });
    look();
  });
  return writable.isWritable();
}
