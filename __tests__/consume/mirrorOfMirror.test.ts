import { expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createEngine } from '../../consume/engine.ts';
import { MemoryCheckpointStore } from '../../consume/memoryStore.ts';
import { createClient } from '../../router/client.ts';
import { createServer } from '../../router/server.ts';
import { createHarness, type Harness } from '../../testUtil/harness.ts';
import type { TopicClient } from '../../watch/attempt.ts';
import type { LocalSource } from '../../watch/localSource.ts';
import { mirrorTopic } from '../../watch/mirrorTopic.ts';
import type { Position } from '../../watch/position.ts';
import { createTopic, type Topic } from '../../watch/topic.ts';
import { allExtensions } from '../support/extensions.ts';
import { DocEvent, type DocServices, docServices } from '../watch/support/served.ts';

type Docs = TopicClient<DocEvent>;

/** Holds back the events of a client's first subscription. */
function heldBack({ subscribe }: Docs): { client: Docs; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let isFirst = true;
  const client: Docs = {
    subscribe(request) {
      const call = subscribe(request);
      if (!isFirst) return call;
      isFirst = false;
      const { resReadable } = call;
      async function* messages() {
        for await (const message of resReadable) {
          if (message.ok && message.payload.type === 'events') await opened;
          yield message;
        }
      }
      const iterator = messages();
      // The cast: what is asked of a readable here, and nothing of its class.
      const held = { [Symbol.asyncIterator]: () => iterator, break: () => resReadable.break() };
      return { resReadable: held as unknown as typeof resReadable };
    },
  };
  return { client, open };
}

/** A topic, and hops that mirror its newest three events and serve them on. */
class Hops implements AsyncDisposable {
  readonly h: Harness;
  readonly topic: Topic<DocEvent>;
  readonly #ends: (() => unknown)[] = [];

  constructor(h: Harness) {
    this.h = h;
    this.topic = createTopic({ event: DocEvent, clock: h.clock });
    this.#serve('OWNER', this.topic);
  }

  #serve(name: string, source: LocalSource<DocEvent>): void {
    const server = createServer(this.h.server({ extensions: allExtensions }, name), docServices(source));
    this.#ends.unshift(
      () => server.close(),
      () => source.close(),
    );
  }

  /** A client of a hop, or of the owner. */
  client(of: string) {
    const transport = this.h.client();
    return { transport, docs: createClient<DocServices>(transport, of).docs.changes as Docs };
  }

  hop(name: string, upstream: Docs, seen?: readonly Position[]): void {
    this.#serve(name, mirrorTopic(upstream, { seen, from: 'start', keep: { events: 3 }, clock: this.h.clock }));
  }

  /** A consumer behind a hop. */
  consumer(upstream: Docs) {
    const { clock } = this.h;
    const handled: number[] = [];
    const store = new MemoryCheckpointStore();
    const mirror = mirrorTopic(upstream, { from: 'start', keep: { events: 3 }, clock });
    const consumers = [{ id: 'a', handle: ({ n }: DocEvent) => void handled.push(n) }];
    const engine = createEngine({ source: mirror, store, consumers, clock, onError: () => undefined });
    this.#ends.unshift(
      () => engine.close(),
      () => mirror.close(),
    );
    const record = () => store.list('default')[0];
    const begin = async () => {
      const booted = mirror.ready().then(() => engine.boot());
      await this.h.advance(2_000);
      await booted;
      engine.follow();
      await this.h.settled();
    };
    return { mirror, engine, handled, record, begin };
  }

  async publish(from: number, to: number): Promise<void> {
    for (let n = from; n <= to; n++) {
      this.topic.publish({ key: 'a', n });
      await this.h.settled();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) await end();
    await this.h.settled();
    await this.h[Symbol.asyncDispose]();
  }
}

const hops = async () => new Hops(await createHarness({ transport: 'memory', codec: JsonCodec }));
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

test('at any depth a consumer gets what the owner still has, whatever the hops between hold', async () => {
  await using all = await hops();
  all.hop('A', all.client('OWNER').docs);
  all.hop('B', all.client('A').docs);
  await all.publish(1, 20);
  const { engine, handled, record, begin } = all.consumer(all.client('B').docs);
  await begin();
  expect([handled, record()?.status, record()?.gaps]).toEqual([upTo(20), 'active', 0]);
  await engine.pause('a');
  await all.publish(21, 40);
  await engine.reactivate('a');
  await all.h.advance(1_000);
  expect([handled, record()?.gaps]).toEqual([upTo(40), 0]);
});

test.each([
  { hop: 'it takes what is beyond its head for a gap', seen: undefined },
  { hop: 'it waits for that', seen: [] },
])(
  'who comes to a hop that is behind the last one has missed nothing, and gets every event once ($hop)',
  async ({ seen }) => {
    await using all = await hops();
    const late = heldBack(all.client('OWNER').docs);
    all.hop('A', all.client('OWNER').docs);
    all.hop('B', late.client, seen);
    const [toA, toB] = [all.client('A'), all.client('B')];
    let balanced = toA.docs;
    const balancing: Docs = { subscribe: (request) => balanced.subscribe(request) };
    const { mirror, handled, record, begin } = all.consumer(balancing);
    await begin();
    await all.publish(1, 10);
    expect(handled).toEqual(upTo(10));
    all.consumer(all.client('B').docs); // who is there already stands where the hop does
    await all.h.settled();
    balanced = toB.docs;
    toA.transport.close();
    await all.h.advance(5_000);
    expect([mirror.state, mirror.head().offset, record()?.gaps]).toEqual(['live', 10, 0]);
    await all.publish(11, 12);
    await all.h.advance(5_000);
    expect([handled, record()?.gaps]).toEqual([upTo(10), 0]); // there is nothing behind where it stands, as far as this hop knows
    late.open();
    await all.h.advance(5_000);
    await all.publish(13, 30);
    expect([handled, record()?.status, record()?.gaps]).toEqual([upTo(30), 'active', 0]);
  },
);

test('a hop that is cut off from the owner does not say that something is missing', async () => {
  await using all = await hops();
  const toOwner = all.client('OWNER');
  all.hop('A', toOwner.docs);
  await all.publish(1, 10);
  toOwner.transport.hardDisconnect();
  const { mirror, handled, record, begin } = all.consumer(all.client('A').docs);
  await all.h.settled();
  expect([mirror.state, mirror.error?.code]).toEqual(['lost', 'CANCEL']);
  await all.h.advance(20_000);
  await begin();
  expect([handled, record()?.gaps]).toEqual([upTo(10), 0]);
});
