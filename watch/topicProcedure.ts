import {
  type CallContext,
  callBehind,
  Err,
  type Infer,
  Ok,
  type PayloadSchema,
  Procedure,
  type ProcedureHandlerContext,
  type SubscriptionProcedure,
} from '../router/index.ts';
import { askPermission, type Granted, type Permission } from './authorization.ts';
import { InvalidArgumentError, OriginError } from './errors.ts';
import { beginningAtOrigin, type LocalSource, type SubscriptionStart } from './localSource.ts';
import {
  type TopicError,
  TopicErrorSchema,
  type TopicRequest,
  TopicRequestSchema,
  topicMessageSchema,
} from './messages.ts';
import { checkFunction } from './shape.ts';
import { Subscriber, type TopicWritable } from './subscriber.ts';
import { TopicHub } from './topicHub.ts';
import { roomForEvents } from './unsendable.ts';

/** Options of {@link topicProcedure}. */
export interface TopicProcedureOptions<S extends PayloadSchema, Ctx> {
  /** Describes an event. */
  event: S;
  /**
   * Whether a caller may follow the topic, or these keys of it: `true`, or a signal that takes the permission back. `false` refuses
   * for good. Nothing is sent before the answer; what it throws, or rejects with, is the handler's failure, and the client asks again.
   */
  authorize: (question: { ctx: Ctx; keys: readonly string[] | undefined }) => Permission | Promise<Permission>;
  /** The key of an event, for subscriptions of some keys; without it they are refused. */
  key?: ((event: Infer<S>) => string) | undefined;
  /** At most so many events in one message; 256 by default. */
  batch?: number | undefined;
  /**
   * At most about so many bytes of events in one message, unless it is one event; 256 KiB by default. Where a session sends
   * less, fewer events share a message.
   */
  maxBatchBytes?: number | undefined;
  /**
   * An event of about more bytes is not sent, nor one that is too large for a subscriber's session (`maxMessageBytes` of the
   * transport): who should have had it is reset, and loads, and the log says so once. 768 KiB by default.
   */
  maxEventBytes?: number | undefined;
  /** A subscription of some keys learns within so many milliseconds how far it is without events; 500 by default. */
  progressMs?: number | undefined;
  /** For people, and for `serializeSchema`. */
  description?: string | undefined;
}

type MessageSchema<S extends PayloadSchema> = ReturnType<typeof topicMessageSchema<S>>;

/** A subscription procedure that serves a source. */
export interface TopicProcedure<Ctx, S extends PayloadSchema>
  extends SubscriptionProcedure<Ctx, typeof TopicRequestSchema, MessageSchema<S>, typeof TopicErrorSchema> {
  /**
   * Asks `authorize` again for every subscription that is open: a role was taken away. Until the answer a subscription is
   * sent nothing; then it goes on where it stood, or ends with NOT_AUTHORIZED. Resolves when all have been asked; rejects
   * with an AggregateError if some could not be, which are over then, and begun again by their clients.
   */
  reauthorize(): Promise<void>;
}

function positive(name: string, value: number): number {
  if (!(value > 0)) throw new InvalidArgumentError(`expected ${name} of more than 0, got ${value}`);
  return value;
}

const refusal = (): TopicError => ({ code: 'NOT_AUTHORIZED', message: 'you may not follow this, or not any more' });

/** One subscription, as its handler sees it. */
class Following<E> {
  readonly #hub: TopicHub<E>;
  readonly #call: Pick<CallContext<unknown, unknown>, 'cancel'>;
  readonly #ask: () => Promise<Granted | undefined>;
  readonly #subscriber: Subscriber<E>;

  constructor(
    hub: TopicHub<E>,
    subscriber: Subscriber<E>,
    call: Pick<CallContext<unknown, unknown>, 'cancel'>,
    ask: () => Promise<Granted | undefined>,
  ) {
    this.#hub = hub;
    this.#subscriber = subscriber;
    this.#call = call;
    this.#ask = ask;
  }

  grant(granted: Granted): void {
    this.#subscriber.stopRevocation?.();
    this.#subscriber.stopRevocation = granted.onRevoked(() => this.refuse());
  }

  /** @throws what asking failed with; then it is over, and its client subscribes again */
  async reauthorize(): Promise<void> {
    this.#hub.pause(this.#subscriber);
    const { turn } = this.#subscriber;
    let granted: Granted | undefined;
    try {
      granted = await this.#ask();
    } catch (error) {
      if (this.#subscriber.turn === turn) this.#call.cancel('nobody could be asked whether you may follow this');
      throw error;
    }
    if (this.#subscriber.turn !== turn) return; // asked once more meanwhile, or it has ended
    if (granted === undefined) return this.refuse();
    this.grant(granted);
    this.#hub.resume(this.#subscriber);
  }

  refuse(): void {
    this.end();
    this.#subscriber.writable.close(Err(refusal()));
  }

  end(): void {
    this.#hub.remove(this.#subscriber);
    this.#subscriber.stopRevocation?.();
    this.#subscriber.stopRevocation = undefined;
  }
}

/**
 * Serves a topic or a mirror as an ordinary subscription procedure of a service, so that middlewares, metadata and every
 * transport apply. Close the source after the servers that serve it.
 * @throws {InvalidArgumentError} for a limit that is none
 */
export function topicProcedure<S extends PayloadSchema, Ctx = ProcedureHandlerContext>(
  source: LocalSource<Infer<S>>,
  options: TopicProcedureOptions<S, Ctx>,
): TopicProcedure<Ctx, S> {
  const { event, authorize, key, description } = options;
  checkFunction('authorize', authorize);
  const maxEventBytes = positive('maxEventBytes', options.maxEventBytes ?? 768 * 1024);
  const hub = new TopicHub<Infer<S>>(source, {
    key,
    batch: Math.ceil(positive('batch', options.batch ?? 256)),
    maxBatchBytes: positive('maxBatchBytes', options.maxBatchBytes ?? 256 * 1024),
    progressMs: positive('progressMs', options.progressMs ?? 500),
  });
  const followings = new Set<Following<Infer<S>>>();
  /** How often everybody was asked again. */
  let round = 0;

  async function begin(
    request: TopicRequest,
    call: Pick<CallContext<unknown, unknown>, 'cancel'>,
  ): Promise<SubscriptionStart | undefined> {
    try {
      return await beginningAtOrigin(source, request);
    } catch (error) {
      if (!(error instanceof OriginError)) throw error;
      call.cancel(error.message); // nothing is known to be missing: whoever asks, asks again
      return undefined;
    }
  }

  async function follow(ctx: Ctx, request: TopicRequest, writable: TopicWritable<Infer<S>>): Promise<void> {
    const { keys } = request;
    if (keys !== undefined && key === undefined) {
      writable.close(Err({ code: 'NO_KEYS', message: 'expected a subscription without keys: these events have none' }));
      return;
    }
    const ask = () => askPermission(() => authorize({ ctx, keys }));
    // The cast: whatever a service adds to it, the context of a handler is that of a call.
    const call = ctx as CallContext<unknown, unknown>;
    let granted: Granted | undefined;
    let start: SubscriptionStart | undefined;
    let askedIn: number;
    do {
      askedIn = round;
      granted = await ask();
      if (granted !== undefined && writable.isWritable()) start = await begin(request, call);
    } while (askedIn !== round); // an answer from before the last reauthorize() may be what that was called for
    if (!writable.isWritable()) return;
    if (granted === undefined) {
      writable.close(Err(refusal()));
      return;
    }
    if (start === undefined) return;
    const behind = callBehind(call);
    const subscriber = new Subscriber<Infer<S>>(
      {
        writable,
        keys: keys === undefined ? undefined : new Set(keys),
        client: call.from,
        clock: call.clock,
        wantsAll: request.from === 'oldest',
        canTakeMore: () => behind?.port.isWriteReady(behind.streamId) ?? true,
        maxBytes: Math.min(maxEventBytes, roomForEvents(call)),
        logError: (message, error) => behind?.logError(message, error),
      },
      start.position,
    );
    const following = new Following(hub, subscriber, call, ask);
    followings.add(following);
    call.deferCleanup(() => {
      followings.delete(following);
      following.end();
    });
    following.grant(granted);
    if (!writable.isWritable()) return; // taken back already
    writable.write(Ok({ type: 'ready', ...start }));
    hub.add(subscriber);
  }

  const procedure = Procedure.subscription<typeof TopicRequestSchema, MessageSchema<S>, typeof TopicErrorSchema, Ctx>({
    requestInit: TopicRequestSchema,
    responseData: topicMessageSchema(event),
    responseError: TopicErrorSchema,
    description,
    handler: ({ ctx, reqInit, resWritable }) =>
      // The cast: Infer<MessageSchema<S>> is TopicMessage<Infer<S>>, which TypeScript cannot see while S is open.
      follow(ctx, reqInit, resWritable as unknown as TopicWritable<Infer<S>>),
  });
  return {
    ...procedure,
    reauthorize: async () => {
      round += 1;
      const asked = await Promise.allSettled([...followings].map((following) => following.reauthorize()));
      const failures = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
      if (failures.length > 0)
        throw new AggregateError(failures, `authorize failed for ${failures.length} of ${asked.length} subscriptions`);
    },
  };
}
