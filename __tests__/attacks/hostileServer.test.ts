import { Type } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { JsonCodec } from '../../codec/index.ts';
import { createClient } from '../../router/client.ts';
import { connect } from '../../router/connect.ts';
import { Ok, Procedure } from '../../router/index.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { BufferBudget } from '../../transport/budget.ts';
import { BarePeer, messageOf } from '../support/barePeer.ts';
import type { Services } from '../support/routerServices.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

/*
 * Of the table "Bad input and attacks", from the other side: a server cannot make its client hold what nobody bounds.
 */

/** A client with an open call, and its server, played by hand on River's wire. */
async function scene(budget: BufferBudget) {
  const harness = await createHarness({ transport: 'memory', codec: JsonCodec });
  harness.holdsHandshakes = true;
  const peers: BarePeer[] = [];
  const stop = harness.link.listen('SERVER', (connection) => peers.push(new BarePeer(connection, JsonCodec)));
  const transport = harness.client({ budget }, 'client-1');
  const events = new TransportEventLog(transport);
  const client = createClient<Services>(transport);
  const { reqWritable, resReadable } = client.flow.echo.stream({ prefix: '' });
  await harness.settled();
  const [peer] = peers;
  if (peer === undefined) throw new Error('nobody dialled');
  await peer.acceptHandshake();
  await harness.settled();
  const streamId = peer.messages.at(-1)?.streamId ?? '';
  let seq = 0;
  return {
    harness,
    transport,
    events,
    reqWritable,
    resReadable,
    peer,
    say: (controlFlags: number, payload: unknown, on = streamId) =>
      peer.send(messageOf({ from: 'SERVER', to: 'client-1', seq: seq++, ack: 1, streamId: on, controlFlags, payload })),
    async [Symbol.asyncDispose]() {
      stop();
      peer.close();
      transport.close();
      await harness[Symbol.asyncDispose]();
    },
  };
}

test('a server that says its last again and again has one of them kept', async () => {
  const budget = new BufferBudget(64 * 1024 * 1024);
  await using set = await scene(budget);
  const text = 'x'.repeat(100_000);
  for (let n = 0; n < 20; n++) set.say(8, Ok({ out: text }));
  await set.harness.settled();
  expect(set.events.ends).toEqual([]);
  expect(budget.heldBytes).toBeGreaterThan(100_000);
  expect(budget.heldBytes).toBeLessThan(110_000);
  expect(await set.resReadable.collect()).toEqual([Ok({ out: text })]);
  set.reqWritable.close();
});

test('a server that opens a stream, which would cost it nothing, loses its client’s session', async () => {
  await using set = await scene(new BufferBudget(64 * 1024 * 1024));
  set.say(2, Ok({ out: 'x' }));
  await set.harness.settled();
  expect(set.events.ends).toEqual(['protocol_violation']);
  expect(await set.resReadable.collect()).toMatchObject([{ ok: false, payload: { code: 'UNEXPECTED_DISCONNECT' } }]);
});

test('a server that wants fresh metadata again and again has them made once at a time, and answered twice', async () => {
  await using set = await scene(new BufferBudget(64 * 1024 * 1024));
  const making: (() => void)[] = [];
  set.transport.setHandshake({ construct: () => new Promise((resolve) => making.push(() => resolve({}))) });
  for (let n = 0; n < 1_000; n++) set.say(0, { type: 'REHANDSHAKE_REQ' }, 'rehandshake');
  await set.harness.settled();
  expect(making).toHaveLength(1);
  making[0]?.();
  await set.harness.settled();
  expect(making).toHaveLength(2);
  making[1]?.();
  await set.harness.settled();
  expect(making).toHaveLength(2);
  expect(set.peer.messages.filter(({ streamId }) => streamId === 'rehandshake')).toHaveLength(2);
  set.reqWritable.close();
});

test('a message over maxMessageBytes is not collected by a client that `connect` made', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  const closed = new Promise<number>((resolve) => {
    server.once('connection', (ws) => {
      ws.once('close', resolve);
      ws.send(new Uint8Array(200_000));
    });
  });
  const { close } = connect(`ws://127.0.0.1:${address.port}`, { maxMessageBytes: 100_000 });
  expect(await closed).toBe(1009);
  close();
  await new Promise((resolve) => server.close(resolve));
});

test('a deadline that is further away than a frame can say is as far as one can', async () => {
  const harness = await createHarness({ transport: 'memory', codec: JsonCodec });
  await using _ = harness;
  const service = createServiceSchema().define({
    left: Procedure.rpc({
      requestInit: Type.Object({}),
      responseData: Type.Object({ isFar: Type.Boolean() }),
      handler: async ({ ctx }) => Ok({ isFar: (ctx.deadline ?? 0) > 1e15 }),
    }),
  });
  createServer(harness.server(), { service });
  const client = createClient<{ service: typeof service }>(harness.client());
  for (const timeoutMs of [1e12, Number.MAX_SAFE_INTEGER, 1e18])
    expect(await client.service.left.rpc({}, { timeoutMs })).toEqual(Ok({ isFar: timeoutMs > 1e15 }));
});
