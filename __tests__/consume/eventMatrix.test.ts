import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import type { GapPolicy } from '../../consume/consumer.ts';
import { createEngine, type Engine } from '../../consume/engine.ts';
import { SqliteCheckpointStore } from '../../consume/sqliteStore.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { transportNames } from '../../testUtil/links.ts';
import { mirrorTopic, type TopicMirror } from '../../watch/mirrorTopic.ts';
import { SqliteTopicStore } from '../../watch/sqliteStore.ts';
import { createTopic, type Topic } from '../../watch/topic.ts';
import { DocEvent, ServedDocs } from '../watch/support/served.ts';
import { temporaryFolder } from './support/stage.ts';

type Harness = Awaited<ReturnType<typeof createHarness>>;

/** The column "consumer" of the event matrix in the design: what each event looks like to a consumer of a topic elsewhere. */
describe.each(transportNames)('a consumer over %s', (transport) => {
  const cleanups: (() => void)[] = [];
  afterEach(() => {
    for (const cleanup of cleanups.splice(0)) cleanup();
  });

  function file(name: string): Database.Database {
    const folder = temporaryFolder();
    cleanups.push(() => folder[Symbol.dispose]());
    const db = new Database(join(folder.path, name));
    cleanups.unshift(() => db.close());
    return db;
  }

  /** A topic, and a process elsewhere that has its consumer's effects and positions on its own disk. */
  async function setup({ keep = 100, onGap }: { keep?: number; onGap?: GapPolicy } = {}) {
    const h = await createHarness({ transport, codec: JsonCodec });
    const inMemory = (of: Harness) => createTopic({ event: DocEvent, keep: { events: keep }, clock: of.clock });
    const topicDb = file('topic.db');
    const durable = (of: Harness): Topic<DocEvent> =>
      createTopic({
        event: DocEvent,
        store: new SqliteTopicStore(topicDb, { name: 'docs', clock: of.clock }),
        clock: of.clock,
      });
    const db = file('consumer.db');
    db.exec('CREATE TABLE effects (n INTEGER)');
    const effects = () => (db.prepare('SELECT n FROM effects').all() as { n: number }[]).map(({ n }) => n);
    const insert = db.prepare('INSERT INTO effects VALUES (?)');

    /** The consumer's process. */
    class Life implements AsyncDisposable {
      readonly link;
      readonly mirror: TopicMirror<DocEvent>;
      readonly engine: Engine;
      constructor(served: ServedDocs, id: string) {
        const { transport: link, client } = served.client({}, id);
        this.link = link;
        const store = new SqliteCheckpointStore(db);
        const seen = store.list('default').map(({ position }) => position);
        this.mirror = mirrorTopic(client.docs.changes, { seen, from: 'start', clock: h.clock });
        this.engine = createEngine({
          source: this.mirror,
          store,
          clock: h.clock,
          consumers: [{ id: 'c', onGap, handle: ({ n }) => void insert.run(n) }],
        });
      }
      async run(): Promise<void> {
        const ready = this.mirror.ready();
        await h.settled();
        await ready;
        await this.engine.boot();
        this.engine.follow();
        await h.settled();
      }
      async record() {
        const [record] = await this.engine.status();
        return record;
      }
      async [Symbol.asyncDispose]() {
        await this.engine.close();
        this.mirror.close();
        this.link.close();
        await h.settled();
      }
    }
    const end = async (served: ServedDocs) => {
      await served.stop();
      await h[Symbol.asyncDispose]();
    };
    return { h, inMemory, durable, effects, Life, end };
  }

  test('begins with what the topic holds, and a transparent reconnect is invisible to it', async () => {
    const { h, inMemory, effects, Life, end } = await setup();
    const served = new ServedDocs(h, inMemory(h), {});
    served.publish(1);
    {
      await using life = new Life(served, 'c-1');
      await life.run();
      expect(effects()).toEqual([1]);
      h.link.cut();
      served.publish(2);
      await h.advance(3_000);
      served.publish(3);
      await h.settled();
      expect([effects(), life.mirror.state, (await life.record())?.gaps]).toEqual([[1, 2, 3], 'live', 0]);
    }
    await end(served);
  });

  test('a hard reconnect: it goes on from its checkpoint, each event once', async () => {
    const { h, inMemory, effects, Life, end } = await setup();
    const served = new ServedDocs(h, inMemory(h), {});
    {
      await using life = new Life(served, 'c-1');
      await life.run();
      served.publish(1);
      await h.settled();
      life.link.hardDisconnect();
      for (const n of [2, 3, 4]) served.publish(n);
      await h.settled();
      expect(life.mirror.state).toBe('lost');
      await h.advance(5_000);
      expect([effects(), life.mirror.state, (await life.record())?.gaps]).toEqual([[1, 2, 3, 4], 'live', 0]);
    }
    await end(served);
  });

  test.each<[GapPolicy, number[]]>([
    ['skip-to-oldest', [1, 4, 5, 6]],
    ['skip-to-head', [1, 6]],
  ])('a hard reconnect outside the history is a gap, and its policy decides (%s)', async (onGap, expected) => {
    const { h, inMemory, effects, Life, end } = await setup({ keep: 2, onGap });
    const served = new ServedDocs(h, inMemory(h), {});
    {
      await using life = new Life(served, 'c-1');
      await life.run();
      served.publish(1);
      await h.settled();
      life.link.hardDisconnect();
      for (const n of [2, 3, 4, 5]) served.publish(n);
      await h.advance(5_000);
      served.publish(6);
      await h.settled();
      expect([effects(), (await life.record())?.gaps]).toEqual([expected, 1]);
    }
    await end(served);
  });

  test.each<[GapPolicy, number[], string, number]>([
    ['error', [1], 'error', 1],
    ['skip-to-head', [1, 3], 'active', 1],
  ])('the server restarts, and its topic was in memory: never silent (%s)', async (onGap, expected, status, gaps) => {
    const { h, inMemory, effects, Life, end } = await setup({ onGap });
    const served = new ServedDocs(h, inMemory(h), {});
    {
      await using life = new Life(served, 'c-1');
      await life.run();
      served.publish(1);
      await h.settled();
      await served.restart(inMemory(h));
      await h.advance(5_000);
      served.publish(3);
      await h.settled();
      expect(await life.record()).toMatchObject({ status, gaps });
      expect(effects()).toEqual(expected);
    }
    await end(served);
  });

  test('the server restarts, and its topic is durable: it goes on', async () => {
    const { h, durable, effects, Life, end } = await setup();
    const served = new ServedDocs(h, durable(h), {});
    {
      await using life = new Life(served, 'c-1');
      await life.run();
      served.publish(1);
      await h.settled();
      const next = durable(h);
      await served.restart(next);
      served.publish(2);
      await h.advance(5_000);
      expect([effects(), (await life.record())?.gaps]).toEqual([[1, 2], 0]);
    }
    await end(served);
  });

  test('its own process restarts: it goes on from its checkpoint, and is ready once it is there', async () => {
    const { h, durable, effects, Life, end } = await setup();
    const served = new ServedDocs(h, durable(h), {});
    {
      await using life = new Life(served, 'c-1');
      await life.run();
      for (const n of [1, 2]) served.publish(n);
      await h.settled();
    }
    served.publish(3);
    {
      await using life = new Life(served, 'c-2');
      await life.run();
      served.publish(4);
      await h.settled();
      expect([effects(), (await life.record())?.gaps]).toEqual([[1, 2, 3, 4], 0]);
    }
    await end(served);
  });
});
