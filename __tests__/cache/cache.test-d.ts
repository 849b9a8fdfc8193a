import { Type } from '@sinclair/typebox';
import { describe, expectTypeOf, test } from 'vitest';
import {
  type Cache,
  type CacheQuestion,
  type CacheStore,
  cacheProcedures,
  createCache,
  MemoryCacheStore,
  relayCache,
} from '../../cache/index.ts';
import { createClient, createServiceSchema, type ProcedureHandlerContext, type ProcResponse } from '../../index.ts';
import type { ClientTransport } from '../../transport/client.ts';
import type { Position } from '../../watch/position.ts';

interface Context {
  db: { find(key: string): string };
}
interface Metadata {
  user: string;
}

const Doc = Type.Object({ text: Type.String(), tags: Type.Array(Type.String()) });
type Doc = { text: string; tags: string[] };

const Service = createServiceSchema<Context, Metadata>();
const Plain = createServiceSchema();
declare const transport: ClientTransport;

describe('a value keeps its type', () => {
  test('over three hops, two lines each', () => {
    const owner = createCache({ load: (key) => ({ text: key, tags: [key] }) });
    expectTypeOf(owner).toEqualTypeOf<Cache<Doc>>();
    const first = { docs: Plain.define(cacheProcedures(owner, { value: Doc, authorize: () => true })) };

    const second = relayCache(createClient<typeof first>(transport).docs);
    expectTypeOf(second).toEqualTypeOf<Cache<Doc>>();
    const secondServices = { papers: Plain.define(cacheProcedures(second, { value: Doc, authorize: () => true })) };

    const third = relayCache(createClient<typeof secondServices>(transport).papers);
    expectTypeOf(third).toEqualTypeOf<Cache<Doc>>();
    const thirdServices = { docs: Plain.define(cacheProcedures(third, { value: Doc, authorize: () => true })) };

    const leaf = relayCache(createClient<typeof thirdServices>(transport).docs);
    expectTypeOf(leaf.get).returns.resolves.toEqualTypeOf<Doc>();
    expectTypeOf(leaf.invalidate).returns.resolves.toEqualTypeOf<Position>();
    expectTypeOf(leaf.update('a', () => 5)).resolves.toEqualTypeOf<number>();
    expectTypeOf<ProcResponse<typeof thirdServices.docs, 'get'>>().toEqualTypeOf<{ value: Doc }>();
  });

  test('in the store of a hop, for which a Map will do', () => {
    expectTypeOf<Map<string, Doc>>().toExtend<CacheStore<Doc>>();
    expectTypeOf(new MemoryCacheStore<Doc>(5)).toExtend<CacheStore<Doc>>();
    const docs = {
      docs: Plain.define(cacheProcedures(createCache<Doc>({ load }), { value: Doc, authorize: () => true })),
    };
    const { docs: upstream } = createClient<typeof docs>(transport);
    relayCache(upstream, { store: new Map<string, Doc>() });
    // @ts-expect-error: a store of other values
    relayCache(upstream, { store: new Map<string, number>() });
  });

  test('and a schema of another type is an error', () => {
    // @ts-expect-error: the cache holds no numbers
    cacheProcedures(createCache<Doc>({ load }), { value: Type.Number(), authorize: () => true });
  });
});

function load(key: string): Doc {
  return { text: key, tags: [] };
}

test('authorize sees the context of the service, and what is to be done', () => {
  const docs = Service.define(
    cacheProcedures(createCache<Doc>({ load }), {
      value: Doc,
      authorize: isAllowed,
    }),
  );
  Service.define(
    cacheProcedures(createCache<Doc>({ load }), {
      value: Doc,
      authorize: ({ ctx }: CacheQuestion<Ctx>) => ctx.metadata.user === 'admin',
    }),
  );
  // @ts-expect-error: a service whose calls have no such context
  Plain.define(cacheProcedures(createCache<Doc>({ load }), { value: Doc, authorize: isAllowed }));
  expectTypeOf(docs.procedures.get.type).toEqualTypeOf<'rpc'>();
  expectTypeOf(docs.procedures.changes.type).toEqualTypeOf<'subscription'>();
});

type Ctx = ProcedureHandlerContext<object, Context, Metadata>;
type Question = CacheQuestion<Ctx>;

function isAllowed(question: Question): boolean {
  expectTypeOf(question.ctx.metadata).toEqualTypeOf<Metadata>();
  expectTypeOf(question.ctx.db).toEqualTypeOf<Context['db']>();
  switch (question.action) {
    case 'get':
      return question.key !== '' && !question.fresh;
    case 'invalidate':
      return question.ctx.metadata.user === question.key;
    case 'changes':
      return question.keys?.length === 1;
    default:
      return question satisfies never;
  }
}
