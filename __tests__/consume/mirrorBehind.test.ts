import { afterEach, describe, expect, test } from 'vitest';
import type { Consumer } from '../../consume/consumer.ts';
import { createEngine } from '../../consume/engine.ts';
import { MemoryCheckpointStore, type MemoryTransaction } from '../../consume/memoryStore.ts';
import type { EngineFault } from '../../consume/options.ts';
import { mirrorTopic, type TopicMirror } from '../../watch/mirrorTopic.ts';
import { type DocEvent, type ServedDocs, serveDocs } from '../watch/support/served.ts';

type DocConsumer = Consumer<DocEvent, MemoryTransaction>;

/** A topic elsewhere, and a process whose mirror of it holds the newest three events. */
class Behind {
  readonly served: ServedDocs;
  readonly store = new MemoryCheckpointStore();
  readonly faults: EngineFault[] = [];
  readonly handled: Record<string, number[]> = {};
  #ends: (() => Promise<void>)[] = [];

  constructor(served: ServedDocs) {
    this.served = served;
  }

  consumer(id: string, rest: Partial<DocConsumer> = {}): DocConsumer {
    this.handled[id] ??= [];
    // The cast: what is handed in here only ever completes a transactional one.
    return { id, handle: ({ n }) => void this.handled[id]?.push(n), ...rest } as DocConsumer;
  }

  /** A deployment: a mirror, which comes to where its readers are, and an engine. */
  async begin(...consumers: DocConsumer[]) {
    const { clock } = this.served.h;
    const { transport, client } = this.served.client();
    const seen = this.store.list('default').map(({ position }) => position);
    const mirror: TopicMirror<DocEvent> = mirrorTopic(client.docs.changes, {
      seen,
      from: 'start',
      keep: { events: 3 },
      clock,
    });
    const engine = createEngine({
      source: mirror,
      store: this.store,
      consumers,
      clock,
      batchSize: 2,
      onError: (fault) => this.faults.push(fault),
    });
    await this.served.h.settled();
    const end = async () => {
      await engine.close();
      mirror.close();
      transport.close();
      await this.served.h.settled();
    };
    this.#ends.push(end);
    return { mirror, engine, transport, end };
  }

  async records() {
    return this.store.list('default').map(({ id, status, gaps, position }) => [id, status, gaps, position?.offset]);
  }

  async end(): Promise<void> {
    for (const end of this.#ends) await end();
    await this.served.stop();
    await this.served.h[Symbol.asyncDispose]();
  }
}

describe('what a mirror does not hold any more comes from its origin', () => {
  let behind: Behind | undefined;
  afterEach(async () => {
    await behind?.end();
    behind = undefined;
  });
  const begin = async (options: Parameters<typeof serveDocs>[0] = {}) => {
    behind = new Behind(await serveDocs(options));
    return behind;
  };
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

  test('a consumer that is slower than the topic gets every event', async () => {
    const b = await begin({ batch: 4 });
    for (const n of upTo(10)) b.served.publish(n);
    const { engine } = await b.begin(b.consumer('a'));
    const booted = engine.boot();
    await b.served.h.settled();
    expect(await booted).toEqual({ outcome: 'done', handled: 10 });
    await engine.pause('a');
    for (let n = 11; n <= 40; n++) {
      b.served.publish(n);
      await b.served.h.settled();
    }
    await engine.reactivate('a');
    const run = engine.run();
    await b.served.h.settled();
    expect(await run).toEqual({ outcome: 'done', handled: 30 });
    expect([b.handled, await b.records(), b.faults]).toEqual([{ a: upTo(40) }, [['a', 'active', 0, 40]], []]);
    await b.served.h.advance(10_000);
    expect(b.served.server.openCalls).toBe(1); // the mirror's own
  });

  test('a consumer that a later deployment adds begins with the oldest event that the topic holds, and so does a rebuilt one', async () => {
    const b = await begin();
    for (const n of upTo(10)) b.served.publish(n);
    const first = await b.begin(b.consumer('a'));
    const booted = first.engine.boot();
    await b.served.h.settled();
    await booted;
    await first.end();
    const { engine, mirror } = await b.begin(b.consumer('a', { reset: () => undefined }), b.consumer('new'));
    expect(mirror.read({ ...b.served.topic.head(), offset: 0 }, 1).kind).toBe('gap');
    const addedTo = engine.boot();
    await b.served.h.settled();
    await addedTo;
    expect(b.handled).toEqual({ a: upTo(10), new: upTo(10) });
    await engine.rebuild('a');
    const rebuilt = engine.run();
    await b.served.h.settled();
    await rebuilt;
    expect(b.handled.a).toEqual([...upTo(10), ...upTo(10)]);
    expect((await b.records()).map(([id, status, gaps]) => [id, status, gaps])).toEqual([
      ['a', 'active', 0],
      ['new', 'active', 0],
    ]);
  });

  test('what the topic has lost is a gap, up to the oldest that it holds and not to the oldest here', async () => {
    const b = await begin({ keep: 20 });
    for (const n of upTo(10)) b.served.publish(n);
    const { engine } = await b.begin(b.consumer('a', { onGap: 'skip-to-oldest' }));
    const booted = engine.boot();
    await b.served.h.settled();
    await booted;
    await engine.pause('a');
    for (let n = 11; n <= 40; n++) {
      b.served.publish(n);
      await b.served.h.settled();
    }
    await engine.reactivate('a');
    const run = engine.run();
    await b.served.h.settled();
    await run;
    expect(b.handled.a).toEqual([...upTo(10), ...upTo(40).slice(20)]);
    const [record] = b.store.list('default');
    expect(record?.lastGap).toMatchObject({ from: { offset: 10 }, oldest: { offset: 20 }, head: { offset: 40 } });
  });

  test('an origin that cannot be asked is no gap: who needs it waits, and holds up nobody else', async () => {
    let isAsleep = false;
    const b = await begin({
      authorize: () => {
        if (isAsleep) throw new Error('the directory is down');
        return true;
      },
    });
    for (const n of upTo(10)) b.served.publish(n);
    const { engine, transport } = await b.begin(b.consumer('behind'), b.consumer('there'));
    const booted = engine.boot();
    await b.served.h.settled();
    await booted;
    engine.follow();
    await engine.pause('behind');
    for (let n = 11; n <= 20; n++) {
      b.served.publish(n);
      await b.served.h.settled();
    }
    isAsleep = true;
    await engine.reactivate('behind');
    b.served.publish(21);
    await b.served.h.settled();
    expect(b.handled.there).toEqual(upTo(21));
    expect(await b.records()).toEqual([
      ['behind', 'active', 0, 10],
      ['there', 'active', 0, 21],
    ]);
    expect(b.faults[0]).toMatchObject({ kind: 'run', error: { code: 'SOURCE', cause: { code: 'ORIGIN' } } });
    transport.hardDisconnect();
    await b.served.h.advance(1_000);
    isAsleep = false;
    await b.served.h.advance(60_000);
    expect(b.handled).toEqual({ behind: upTo(21), there: upTo(21) });
    expect(await b.records()).toEqual([
      ['behind', 'active', 0, 21],
      ['there', 'active', 0, 21],
    ]);
  });
});
