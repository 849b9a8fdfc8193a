import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../codec/json.ts';
import { Procedure } from '../router/procedures.ts';
import { Err, Ok } from '../router/result.ts';
import { createServer } from '../router/server.ts';
import { createServiceSchema } from '../router/services.ts';
import { createHarness, type Harness } from '../testUtil/harness.ts';
import { flow, math, RiverClient } from './support/routerServices.ts';

const close = { type: 'CLOSE' };
const cancelled = (code: string, message: string) => Err({ code, message });

/** Procedures for what the recordings have no case for. */
const extra = createServiceSchema().define({
  /** Answers before its client has closed. */
  early: Procedure.upload({
    requestInit: Type.Object({}),
    requestData: Type.Object({ value: Type.Number() }),
    responseData: Type.Object({}),
    handler: () => Ok({}),
  }),
  /** Closes with a last value, and goes on reading. */
  closesFirst: Procedure.stream({
    requestInit: Type.Object({}),
    requestData: Type.Object({ msg: Type.String() }),
    responseData: Type.Object({ out: Type.String() }),
    handler({ resWritable }) {
      resWritable.close(Ok({ out: 'last' }));
    },
  }),
  /** Takes anything, a close control too. */
  anything: Procedure.upload({
    requestInit: Type.Unknown(),
    requestData: Type.Unknown(),
    responseData: Type.Unknown(),
    async handler({ reqReadable }) {
      return Ok(await reqReadable.collect());
    },
  }),
  big: Procedure.rpc({
    requestInit: Type.Object({ bytes: Type.Number() }),
    responseData: Type.String(),
    handler: ({ reqInit }) => Ok('x'.repeat(reqInit.bytes)),
  }),
  unserialisable: Procedure.rpc({
    requestInit: Type.Object({}),
    responseData: Type.Any(),
    handler: () => Ok({ f: () => 1 }),
  }),
  lies: Procedure.rpc({
    requestInit: Type.Object({}),
    responseData: Type.Object({ n: Type.Number() }),
    handler: () => Ok({ n: 'secret' } as never), // what a handler of plain JavaScript may do
  }),
});

interface Scene {
  h: Harness;
  river: RiverClient;
}

async function scene(options: Parameters<typeof createServer>[2] = {}): Promise<Scene> {
  const h = await createHarness({ transport: 'memory', codec: JsonCodec });
  createServer(h.server(), { math, flow, extra }, options);
  return { h, river: await RiverClient.connect(h) };
}

describe('a River client hears from a server', () => {
  type Step = [streamId: string, controlFlags: number, payload: unknown];
  test.each<[string, (river: RiverClient) => void, Step[]]>([
    ['the result of an rpc', (r) => r.open('s', 'math.add', 10, { n: 3 }), [['s', 8, Ok({ result: 3 })]]],
    [
      'the declared error of an rpc',
      (r) => r.open('s', 'math.divide', 10, { a: 1, b: 0 }),
      [['s', 8, Err({ code: 'DIV_BY_ZERO', message: 'cannot divide by zero', extras: { dividend: 1 } })]],
    ],
    [
      'that a handler threw, and not what',
      (r) => r.open('s', 'math.boom', 10, {}),
      [['s', 4, cancelled('UNCAUGHT_ERROR', 'internal server error')]],
    ],
    [
      'that a handler cancelled, and nothing else',
      (r) => r.open('s', 'math.cancelMe', 10, {}),
      [['s', 4, cancelled('CANCEL', 'server says no')]],
    ],
    [
      'that there is no such service',
      (r) => r.open('s', 'nope.add', 10, {}),
      [['s', 4, cancelled('INVALID_REQUEST', "couldn't find service nope")]],
    ],
    [
      'that there is no such procedure',
      (r) => r.open('s', 'math.nope', 10, {}),
      [['s', 4, cancelled('INVALID_REQUEST', "couldn't find a matching procedure for math.nope")]],
    ],
    [
      'that its payload is invalid, in code and message only',
      (r) => r.open('s', 'math.add', 10, { n: 'three' }),
      [['s', 4, cancelled('INVALID_REQUEST', 'procedure init failed validation: /n: Expected number')]],
    ],
    [
      'the result of an upload',
      (r) => {
        r.open('s', 'flow.sum', 2, { multiplier: 2 });
        r.send('s', 0, { value: 1 });
        r.send('s', 0, { value: 2 });
        r.send('s', 8, close);
      },
      [['s', 8, Ok({ total: 6 })]],
    ],
    [
      'the result of an upload whose last value closes it',
      (r) => {
        r.open('s', 'flow.sum', 2, { multiplier: 2 });
        r.send('s', 8, { value: 4 });
      },
      [['s', 8, Ok({ total: 8 })]],
    ],
    [
      'the results of a subscription, then its close',
      (r) => r.open('s', 'flow.count', 10, { to: 2 }),
      [
        ['s', 0, Ok({ i: 0 })],
        ['s', 0, Ok({ i: 1 })],
        ['s', 8, close],
      ],
    ],
    [
      'the results of a stream, then its close',
      (r) => {
        r.open('s', 'flow.echo', 2, { prefix: '>' });
        r.send('s', 0, { msg: 'a' });
        r.send('s', 8, close);
      },
      [
        ['s', 0, Ok({ out: '>a' })],
        ['s', 8, close],
      ],
    ],
    [
      'a last value and the close in one message',
      (r) => {
        r.open('s', 'extra.closesFirst', 2, {});
        r.send('s', 8, close);
      },
      [['s', 8, Ok({ out: 'last' })]],
    ],
    [
      'the result of an rpc that did not close its half',
      (r) => r.open('s', 'math.add', 2, { n: 1 }),
      [['s', 8, Ok({ result: 1 })]],
    ],
    [
      'a close control as data where only data can be meant',
      (r) => {
        r.open('s', 'extra.anything', 2, null);
        r.send('s', 0, close);
        r.send('s', 8, close);
      },
      [['s', 8, Ok([Ok(close)])]],
    ],
    [
      'that its data is invalid',
      (r) => {
        r.open('s', 'flow.sum', 2, { multiplier: 2 });
        r.send('s', 0, { value: 'x' });
        r.send('s', 0, { value: 1 });
        r.send('s', 8, close);
      },
      [['s', 4, cancelled('INVALID_REQUEST', 'expected requestData or control payload: /value: Expected number')]],
    ],
    [
      'that it had closed its half',
      (r) => {
        r.open('s', 'math.wait', 10, {});
        r.send('s', 0, { more: 1 });
      },
      [['s', 4, cancelled('INVALID_REQUEST', 'received message after request stream is closed')]],
    ],
    [
      'that an rpc takes no data',
      (r) => {
        r.open('s', 'math.wait', 2, {});
        r.send('s', 0, { more: 1 });
      },
      [['s', 4, cancelled('INVALID_REQUEST', 'expected control payload')]],
    ],
    [
      'that its stream is open already',
      (r) => {
        r.open('s', 'math.wait', 10, {});
        r.open('s', 'math.add', 10, { n: 1 });
      },
      [['s', 4, cancelled('INVALID_REQUEST', 'the stream is already open')]],
    ],
    [
      'of a stream that it did not open once, however much it sends',
      (r) => {
        for (let i = 0; i < 5; i += 1) r.send('s', 0, { i });
      },
      [['s', 4, cancelled('INVALID_REQUEST', 'no such call, and this message does not open one')]],
    ],
    [
      'nothing after it cancelled an rpc',
      (r) => {
        r.open('s', 'math.wait', 10, {});
        r.cancel('s');
      },
      [],
    ],
    [
      'nothing after it cancelled an upload',
      (r) => {
        r.open('s', 'flow.sum', 2, { multiplier: 2 });
        r.cancel('s');
        r.send('s', 0, { value: 1 });
        r.send('s', 8, close);
      },
      [],
    ],
    [
      'the close of a subscription that it cancelled, once',
      (r) => {
        r.open('s', 'flow.forever', 10, {});
        r.cancel('s');
      },
      [['s', 8, close]],
    ],
    [
      'the close of a stream that it cancelled, once',
      (r) => {
        r.open('s', 'flow.echo', 2, { prefix: '>' });
        r.cancel('s');
        r.send('s', 0, { msg: 'late' });
      },
      [['s', 8, close]],
    ],
    [
      'nothing about what it sends to an upload that was answered early',
      (r) => {
        r.open('s', 'extra.early', 2, {});
        r.send('s', 0, { value: 1 });
        r.send('s', 8, close);
      },
      [['s', 8, Ok({})]],
    ],
    [
      'that a response does not fit, and not why',
      (r) => r.open('s', 'extra.lies', 10, {}),
      [['s', 4, cancelled('UNCAUGHT_ERROR', 'internal server error')]],
    ],
    [
      'that a response cannot be encoded',
      (r) => r.open('s', 'extra.unserialisable', 10, {}),
      [['s', 4, cancelled('UNCAUGHT_ERROR', 'the response cannot be encoded')]],
    ],
    [
      'that a response is too large',
      (r) => r.open('s', 'extra.big', 10, { bytes: 2_000_000 }),
      [['s', 4, cancelled('UNCAUGHT_ERROR', 'the response is too large')]],
    ],
  ])('%s', async (_what, act, expected) => {
    const { h, river } = await scene();
    await using _ = h;
    act(river);
    expect(await river.heard()).toEqual(expected);
    river.open('t', 'math.add', 10, { n: 0 });
    expect(await river.heard()).toMatchObject([['t', 8, { ok: true }]]);
    river.peer.close();
  });

  test('what a handler threw, where the application says so', async () => {
    const { h, river } = await scene({ exposeErrorMessages: true });
    await using _ = h;
    river.open('s', 'math.boom', 10, {});
    expect(await river.heard()).toEqual([['s', 4, cancelled('UNCAUGHT_ERROR', 'kaput')]]);
    river.open('t', 'extra.lies', 10, {});
    expect(await river.heard()).toEqual([['t', 4, cancelled('UNCAUGHT_ERROR', 'internal server error')]]);
    river.peer.close();
  });

  test('that there is no room for its response, by a code it knows', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    const bytes = 64 * 1024;
    const limits = { maxMessageBytes: bytes, maxSessionBufferBytes: bytes, sessionHighWaterBytes: bytes };
    createServer(h.server(limits), { extra });
    const river = await RiverClient.connect(h);
    river.open('first', 'extra.big', 10, { bytes: 0.6 * bytes });
    expect(await river.heard()).toMatchObject([['first', 8, { ok: true }]]);
    river.open('s', 'extra.big', 10, { bytes: 0.6 * bytes }); // and nothing of the first was acknowledged
    expect(await river.heard()).toMatchObject([['s', 4, { ok: false, payload: { code: 'UNCAUGHT_ERROR' } }]]);
    river.peer.close();
  });

  test('an error for every late message that the server has forgotten the stream of', async () => {
    const { h, river } = await scene({ maxCancelledStreams: 1 });
    await using _ = h;
    for (const streamId of ['a', 'b']) river.open(streamId, 'extra.early', 2, {});
    river.send('a', 0, { value: 1 });
    river.send('b', 0, { value: 1 });
    expect(await river.heard()).toMatchObject([
      ['a', 8, { ok: true }],
      ['b', 8, { ok: true }],
      ['a', 4, { payload: { code: 'INVALID_REQUEST' } }],
      // Refusing 'a' took the one place that 'b' had.
      ['b', 4, { payload: { code: 'INVALID_REQUEST' } }],
    ]);
    river.peer.close();
  });

  test('nothing of the streams of others, even under the same id', async () => {
    const { h, river } = await scene();
    await using _ = h;
    const other = await RiverClient.connect(h, 'client-2');
    river.open('s', 'flow.echo', 2, { prefix: '1' });
    other.open('s', 'flow.echo', 2, { prefix: '2' }, 'client-2');
    await h.settled();
    other.send('s', 0, { msg: 'a' }, {}, 'client-2');
    river.cancel('s');
    await h.settled();
    other.send('s', 8, close, {}, 'client-2');
    expect(await river.heard()).toEqual([['s', 8, close]]);
    expect(await other.heard()).toEqual([
      ['s', 0, Ok({ out: '2a' })],
      ['s', 8, close],
    ]);
    river.peer.close();
    other.peer.close();
  });
});
