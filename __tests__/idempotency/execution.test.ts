import { Type } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createClient } from '../../router/client.ts';
import { MemoryIdempotencyStore } from '../../router/memoryIdempotencyStore.ts';
import { Procedure } from '../../router/procedures.ts';
import { Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { createShopStage } from '../support/shop.ts';

const memory = { transport: 'memory', codec: JsonCodec } as const;

test('the handler of a keyed call does not run once its deadline passed within a middleware', async () => {
  await using stage = await createShopStage(memory);
  let letThrough = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    letThrough = resolve;
  });
  stage.open(
    { store: new MemoryIdempotencyStore() },
    {
      middlewares: [
        async ({ next }) => {
          await gate;
          return next();
        },
      ],
    },
  );
  const { client } = stage.client();
  const place = () => client.orders.place.rpc({ item: 'book' }, { idempotencyKey: 'a', timeoutMs: 500 });
  const placed = place();
  await stage.h.advance(500);
  expect(await placed).toMatchObject({ ok: false, payload: { code: 'DEADLINE_EXCEEDED' } });
  letThrough();
  await stage.h.settled();
  expect(await place()).toMatchObject({ ok: false, payload: { code: 'CANCEL' } });
  expect(stage.till.effects).toEqual([]);
});

test.each([true, false])(
  'an outcome holds nothing undeclared where that is to be removed (middlewares: %j)',
  async (isWrapped) => {
    await using stage = await createShopStage(memory);
    const users = createServiceSchema().define({
      add: Procedure.rpc({
        requestInit: Type.Object({}),
        responseData: Type.Object({ name: Type.String() }),
        handler: async () => {
          const row = { name: 'ann', passwordHash: 'secret' };
          return Ok(row);
        },
      }),
    });
    const server = createServer(
      stage.h.server(),
      { users },
      {
        idempotency: { store: new MemoryIdempotencyStore() },
        stripUndeclaredResponseProperties: true,
        middlewares: isWrapped ? [({ next }) => next()] : [],
      },
    );
    const client = createClient<{ users: typeof users }>(stage.client().transport);
    for (let i = 0; i < 2; i++)
      expect(await client.users.add.rpc({}, { idempotencyKey: 'a' })).toEqual(Ok({ name: 'ann' }));
    await server.close();
  },
);
