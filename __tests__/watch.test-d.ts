import { Type } from '@sinclair/typebox';
import { expectTypeOf, test } from 'vitest';
import { type Client, createServiceSchema, type ProcInit } from '../router/index.ts';
import {
  collectionProcedures,
  createCollection,
  createMirror,
  createTopic,
  type Mirror,
  type Topic,
  topicProcedure,
  type Watch,
  watch,
  watchCollection,
  watchKeys,
} from '../watch/index.ts';

interface Metadata {
  user: { id: string };
}
interface Context {
  tenant: string;
}

const Event = Type.Object({ path: Type.String(), size: Type.Integer() });
const topic = createTopic({ event: Event });
const Service = createServiceSchema<Context, Metadata>();
const docs = Service.define(
  { initializeState: () => ({ opened: 0 }) },
  {
    changes: topicProcedure(topic, {
      event: Event,
      key: ({ path }) => path,
      authorize: ({ ctx, keys }) => {
        expectTypeOf(keys).toEqualTypeOf<readonly string[] | undefined>();
        return ctx.metadata.user.id === ctx.tenant && ctx.state !== undefined;
      },
    }),
  },
);
const rooms = createServiceSchema().define(
  collectionProcedures(createCollection({ value: Type.Object({ room: Type.String() }) }), { authorize: () => true }),
);
declare const client: Client<{ docs: typeof docs; rooms: typeof rooms }>;

test('a topic and a mirror have the type of their schema', () => {
  expectTypeOf(topic).toExtend<Topic<{ path: string; size: number }>>();
  expectTypeOf(createMirror({ event: Event })).toEqualTypeOf<Mirror<{ path: string; size: number }>>();
  expectTypeOf(createMirror<number>()).toEqualTypeOf<Mirror<number>>();
});

test("authorize sees the service's context and metadata, and a call its positions", () => {
  expectTypeOf<ProcInit<typeof docs, 'changes'>['keys']>().toEqualTypeOf<string[] | undefined>();
});

test("a watch has the type of what its load gives, and apply of the topic's event, across the client", () => {
  expectTypeOf(watch(client.docs.changes, { load: () => 'text' })).toEqualTypeOf<Watch<string>>();
  const sizes = watch(client.docs.changes, {
    load: async () => ({ value: 5, position: topic.head() }),
    apply: (value: number, event) => {
      expectTypeOf(event).toEqualTypeOf<{ path: string; size: number }>();
      return value + event.size;
    },
  });
  expectTypeOf(sizes).toEqualTypeOf<Watch<number>>();
  expectTypeOf(watch(topic, { load: () => 1 })).toEqualTypeOf<Watch<number>>();
});

test('a watch of keys and of a collection have the types of theirs', () => {
  const group = watchKeys(client.docs.changes, { key: ({ path }) => path });
  expectTypeOf(group.watch('a', { load: () => true })).toEqualTypeOf<Watch<boolean>>();
  expectTypeOf(watchCollection(client.rooms)).toEqualTypeOf<Watch<ReadonlyMap<string, { room: string }>>>();
});
