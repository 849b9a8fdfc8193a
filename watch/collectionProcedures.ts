import { Type } from '@sinclair/typebox';
import {
  Err,
  type Infer,
  Ok,
  type PayloadSchema,
  Procedure,
  type ProcedureHandlerContext,
  type Result,
  type SubscriptionProcedure,
  type Writable,
} from '../router/index.ts';
import { askPermission } from './authorization.ts';
import { weigh } from './chunk.ts';
import { type CollectionEvent, collectionEventSchema, type TypedCollection } from './collection.ts';
import { MAX_KEY_LENGTH, MAX_KEYS } from './limits.ts';
import type { LocalSource } from './localSource.ts';
import { type TopicError, TopicErrorSchema } from './messages.ts';
import { type Position, PositionSchema } from './position.ts';
import { type TopicProcedure, type TopicProcedureOptions, topicProcedure } from './topicProcedure.ts';

const SnapshotRequest = Type.Object({
  keys: Type.Optional(Type.Array(Type.String({ maxLength: MAX_KEY_LENGTH }), { maxItems: MAX_KEYS })),
});

/** A piece of a snapshot. */
export interface SnapshotPage<V> {
  position: Position;
  entries: { key: string; value: V }[];
}

function pageSchema<S extends PayloadSchema>(value: S) {
  return Type.Object({ position: PositionSchema, entries: Type.Array(Type.Object({ key: Type.String(), value })) });
}

type PageSchema<S extends PayloadSchema> = ReturnType<typeof pageSchema<S>>;
type EventSchema<S extends PayloadSchema> = ReturnType<typeof collectionEventSchema<S>>;

/** The procedures that a client's `watchCollection` takes. A type and not an interface: a service takes what has an index. */
export type CollectionProcedures<Ctx, S extends PayloadSchema> = {
  /** All there is, in pieces, of one position. */
  snapshot: SubscriptionProcedure<Ctx, typeof SnapshotRequest, PageSchema<S>, typeof TopicErrorSchema>;
  changes: TopicProcedure<Ctx, EventSchema<S>>;
};

const PAGE_BYTES = 128 * 1024;
const PAGE_ENTRIES = 500;

/** Splits entries into pieces that a message can carry. */
function* pages<V>(entries: Iterable<readonly [string, V]>): Generator<SnapshotPage<V>['entries']> {
  let page: SnapshotPage<V>['entries'] = [];
  let bytes = 0;
  for (const [key, value] of entries) {
    const weight = weigh(value) + weigh(key);
    if (page.length > 0 && (bytes + weight > PAGE_BYTES || page.length === PAGE_ENTRIES)) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push({ key, value });
    bytes += weight;
  }
  yield page; // empty if there is nothing: its position is told anyway
}

/**
 * Serves a collection: two procedures of a service.
 * @param options `authorize` is asked for both, of the same keys
 */
export function collectionProcedures<S extends PayloadSchema, Ctx = ProcedureHandlerContext>(
  collection: TypedCollection<S>,
  options: Pick<TopicProcedureOptions<EventSchema<S>, Ctx>, 'authorize'>,
): CollectionProcedures<Ctx, S> {
  const { authorize } = options;
  type V = Infer<S>;

  async function send(
    ctx: Ctx,
    keys: string[] | undefined,
    writable: Writable<Result<SnapshotPage<V>, TopicError>>,
  ): Promise<void> {
    const granted = await askPermission(() => authorize({ ctx, keys }));
    if (!writable.isWritable()) return;
    if (granted === undefined) return writable.close(Err({ code: 'NOT_AUTHORIZED', message: 'you may not see this' }));
    const { entries, position, close } = collection.view(keys);
    const stop = granted.onRevoked(() =>
      writable.close(Err({ code: 'NOT_AUTHORIZED', message: 'you may not see this any more' })),
    );
    try {
      for (const page of pages(entries)) {
        if (!writable.isWritable()) return;
        if (!writable.write(Ok({ position, entries: page }))) await writable.waitForWriteReady();
      }
      writable.close();
    } catch {
      // Its call has ended: there is nobody to send to.
    } finally {
      stop();
      close();
    }
  }

  const snapshot = Procedure.subscription<typeof SnapshotRequest, PageSchema<S>, typeof TopicErrorSchema, Ctx>({
    requestInit: SnapshotRequest,
    responseData: pageSchema(collection.value),
    responseError: TopicErrorSchema,
    // The cast: Infer<PageSchema<S>> is SnapshotPage<Infer<S>>, which TypeScript cannot see while S is open.
    handler: ({ ctx, reqInit, resWritable }) => send(ctx, reqInit.keys, resWritable as never),
  });
  // The casts: the same of CollectionEvent<Infer<S>>.
  const source = collection.topic as LocalSource<CollectionEvent<V>> as never;
  const changes = topicProcedure<EventSchema<S>, Ctx>(source, {
    event: collectionEventSchema(collection.value),
    key: (event) => (event as CollectionEvent<V>).key,
    authorize,
  });
  return { snapshot, changes };
}
