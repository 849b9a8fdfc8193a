import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../codec/json.ts';
import { createClient } from '../router/client.ts';
import type { Client } from '../router/clientTypes.ts';
import { Err, Ok } from '../router/result.ts';
import { createHarness, type Harness } from '../testUtil/harness.ts';
import { BarePeer, messageOf } from './support/barePeer.ts';
import type { Services } from './support/routerServices.ts';

/** A River server, spoken by hand. */
class RiverServer {
  readonly #h: Harness;
  readonly #peer: BarePeer;
  #seq = 0;
  #seen = 1;

  constructor(h: Harness, peer: BarePeer) {
    this.#h = h;
    this.#peer = peer;
  }

  /** Answers the call that the client made last, or another of its streams. */
  answer(controlFlags: number, payload: unknown, streamId = this.lastStreamId): void {
    const heard = this.#peer.messages.length - 1;
    this.#peer.send(
      messageOf({ from: 'SERVER', to: 'client-1', streamId, controlFlags, payload, seq: this.#seq++, ack: heard }),
    );
  }

  get lastStreamId(): string {
    return this.#peer.messages.at(-1)?.streamId ?? '';
  }

  /** The streams of what the client has said. */
  get streamIds(): string[] {
    return [...new Set(this.#peer.messages.slice(1).map(({ streamId }) => streamId))];
  }

  /** What the client has said since the last time, without ids and counters; streams are numbered. */
  async heard(): Promise<Record<string, unknown>[]> {
    await this.#h.settled();
    const fresh = this.#peer.messages.slice(this.#seen);
    this.#seen += fresh.length;
    return fresh.map(({ id: _id, from: _from, to: _to, seq: _seq, ack: _ack, streamId: _stream, ...rest }) => rest);
  }

  close(): void {
    this.#peer.close();
  }
}

interface Scene {
  h: Harness;
  river: RiverServer;
  client: Client<Services>;
}

/** @param early what the client does before it has heard of the server */
async function scene(early?: (client: Client<Services>) => void): Promise<Scene> {
  const h = await createHarness({ transport: 'memory', codec: JsonCodec });
  const peers: BarePeer[] = [];
  const stopListening = h.link.listen('SERVER', (connection) => peers.push(new BarePeer(connection, JsonCodec)));
  const client = createClient<Services>(h.client());
  h.holdsHandshakes = true;
  early?.(client);
  await h.settled();
  stopListening();
  const [peer] = peers;
  if (peer === undefined) throw new Error('nobody dialled');
  await peer.acceptHandshake();
  await h.settled();
  return { h, river: new RiverServer(h, peer), client };
}

const tracing = { traceparent: '', tracestate: '' };
const close = { controlFlags: 8, payload: { type: 'CLOSE' } };
const cancel = { controlFlags: 4, payload: Err({ code: 'CANCEL', message: 'cancelled by client' }) };
const opening = (serviceName: string, procedureName: string, controlFlags: number, payload: unknown) => ({
  controlFlags,
  serviceName,
  procedureName,
  tracing,
  payload,
});

describe('a River server hears from a client', () => {
  test('streams that no other session has: such servers keep those of all in one table', async () => {
    const ids = [];
    for (let session = 0; session < 2; session++) {
      const early: Promise<unknown>[] = [];
      const { h, river, client } = await scene((client) => early.push(client.math.add.rpc({ n: 1 })));
      await using _ = h;
      const late = client.math.add.rpc({ n: 2 });
      await river.heard();
      expect(river.streamIds).toHaveLength(2);
      for (const [n, id] of river.streamIds.entries()) river.answer(8, Ok({ result: n }), id);
      expect(await Promise.all([...early, late])).toEqual([Ok({ result: 0 }), Ok({ result: 1 })]);
      ids.push(...river.streamIds);
      river.close();
    }
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^[0-9A-Za-z]{12}[12]$/);
  });

  test('an rpc in one message', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const result = client.math.add.rpc({ n: 3 });
    expect(await river.heard()).toEqual([opening('math', 'add', 10, { n: 3 })]);
    river.answer(8, Ok({ result: 3 }));
    expect(await result).toEqual(Ok({ result: 3 }));
    expect(await river.heard()).toEqual([]);
    river.close();
  });

  test('an upload as init, values and close', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const { reqWritable, finalize } = client.flow.sum.upload({ multiplier: 2 });
    reqWritable.write({ value: 1 });
    const result = finalize();
    expect(await river.heard()).toEqual([
      opening('flow', 'sum', 2, { multiplier: 2 }),
      { controlFlags: 0, payload: { value: 1 } },
      close,
    ]);
    river.answer(8, Ok({ total: 2 }));
    expect(await result).toEqual(Ok({ total: 2 }));
    river.close();
  });

  test('a last value together with the close', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const { reqWritable, resReadable } = client.flow.echo.stream({ prefix: '>' });
    reqWritable.close({ msg: 'a' });
    expect(await river.heard()).toEqual([
      opening('flow', 'echo', 2, { prefix: '>' }),
      { controlFlags: 8, payload: { msg: 'a' } },
    ]);
    river.answer(8, { type: 'CLOSE' });
    expect(await resReadable.collect()).toEqual([]);
    river.close();
  });

  test('a last value that looks like a close apart from it', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const { reqWritable, resReadable } = client.flow.echo.stream({ prefix: '>' });
    reqWritable.close({ type: 'CLOSE' } as never);
    expect((await river.heard()).slice(1)).toEqual([{ controlFlags: 0, payload: { type: 'CLOSE' } }, close]);
    river.answer(8, Ok({ out: 'x' }));
    expect(await resReadable.collect()).toEqual([Ok({ out: 'x' })]);
    river.close();
  });

  test('the close of an upload that it has answered already', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const { reqWritable, finalize } = client.flow.sum.upload({ multiplier: 2 });
    await river.heard();
    river.answer(8, Ok({ total: 0 }));
    expect(await river.heard()).toEqual([close]);
    expect(reqWritable.write({ value: 1 })).toBe(false);
    expect(await finalize()).toEqual(Ok({ total: 0 }));
    expect(await river.heard()).toEqual([]);
    river.close();
  });

  test('that a call is cancelled, once', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const controller = new AbortController();
    const { resReadable } = client.flow.forever.subscribe({}, { signal: controller.signal });
    await river.heard();
    controller.abort();
    resReadable.break();
    expect(await river.heard()).toEqual([cancel]);
    river.answer(8, { type: 'CLOSE' });
    await h.settled();
    river.close();
  });

  test('of a deadline nothing but a cancel', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const result = client.math.wait.rpc({}, { timeoutMs: 50 });
    expect(await river.heard()).toEqual([opening('math', 'wait', 10, {})]);
    await h.advance(50);
    expect(await river.heard()).toEqual([
      { controlFlags: 4, payload: Err({ code: 'CANCEL', message: 'deadline exceeded' }) },
    ]);
    expect(await result).toMatchObject({ payload: { code: 'DEADLINE_EXCEEDED' } });
    river.close();
  });
});

describe('a client understands', () => {
  test.each<[string, number, unknown, unknown]>([
    ['a result', 8, Ok({ result: 1 }), Ok({ result: 1 })],
    ['a result without the close flag', 0, Ok({ result: 1 }), Ok({ result: 1 })],
    ['a result without a payload', 8, { ok: true }, { ok: true }],
    ['a cancel', 4, Err({ code: 'X', message: 'x', extras: 1 }), Err({ code: 'X', message: 'x', extras: 1 })],
    [
      'a cancel with nothing in it',
      4,
      { type: 'CLOSE' },
      Err({ code: 'CANCEL', message: 'stream cancelled, server sent invalid payload' }),
    ],
    [
      'a close without a result',
      8,
      { type: 'CLOSE' },
      Err({ code: 'UNCAUGHT_ERROR', message: 'the server closed the call without a result' }),
    ],
    [
      'something that is no result',
      8,
      { result: 1 },
      Err({ code: 'UNCAUGHT_ERROR', message: 'the server sent something that is no result' }),
    ],
    [
      'an error without a code',
      8,
      { ok: false, payload: { message: 'x' } },
      Err({ code: 'UNCAUGHT_ERROR', message: 'the server sent something that is no result' }),
    ],
  ])('%s', async (_what, controlFlags, payload, expected) => {
    const { h, river, client } = await scene();
    await using _ = h;
    const result = client.math.add.rpc({ n: 1 });
    await river.heard();
    river.answer(controlFlags, payload);
    expect(await result).toEqual(expected);
    river.close();
  });

  test('results, and an error as the last of them', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const { resReadable } = client.flow.count.subscribe({ to: 3 });
    await river.heard();
    const { lastStreamId } = river;
    const error = Err({ code: 'UNCAUGHT_ERROR', message: 'kaput' });
    river.answer(0, Ok({ i: 0 }), lastStreamId);
    river.answer(4, error, lastStreamId);
    river.answer(0, Ok({ i: 1 }), lastStreamId);
    expect(await resReadable.collect()).toEqual([Ok({ i: 0 }), error]);
    await h.settled();
    river.close();
  });

  test('that a server closes its half before the client closes its own', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const { reqWritable, resReadable } = client.flow.echo.stream({ prefix: '>' });
    await river.heard();
    const { lastStreamId } = river;
    river.answer(8, { type: 'CLOSE' });
    river.answer(0, Ok({ out: 'late' }), lastStreamId);
    expect(await resReadable.collect()).toEqual([]);
    expect(reqWritable.write({ msg: 'still' })).toBe(true);
    reqWritable.close();
    expect(await river.heard()).toEqual([{ controlFlags: 0, payload: { msg: 'still' } }, close]);
    river.close();
  });

  test('nothing it says after the call, and says nothing about it', async () => {
    const { h, river, client } = await scene();
    await using _ = h;
    const result = client.math.add.rpc({ n: 1 });
    await river.heard();
    const { lastStreamId } = river;
    river.answer(8, Ok({ result: 1 }));
    river.answer(8, Ok({ result: 2 }), lastStreamId);
    river.answer(4, Err({ code: 'CANCEL', message: 'x' }), lastStreamId);
    river.answer(0, Ok({ i: 1 }), 'never-opened');
    expect(await result).toEqual(Ok({ result: 1 }));
    expect(await river.heard()).toEqual([]);
    river.close();
  });
});
