import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { transportNames } from '../../testUtil/links.ts';
import { SqliteTopicStore } from '../../watch/sqliteStore.ts';
import { createTopic, type Topic } from '../../watch/topic.ts';
import { watch } from '../../watch/watch.ts';
import { DocEvent, ServedDocs } from './support/served.ts';
import { temporaryFolder } from './support/stores.ts';

/** The column "watch" of the event matrix in the design: what each event looks like to a watch, cell by cell. */
describe.each(transportNames)('a watch over %s', (transport) => {
  let folder: ReturnType<typeof temporaryFolder> | undefined;
  afterEach(() => folder?.remove());

  async function setup(topicOf?: (h: Awaited<ReturnType<typeof createHarness>>) => Topic<DocEvent>) {
    const h = await createHarness({ transport, codec: JsonCodec });
    const inMemory = () => createTopic({ event: DocEvent, keep: { events: 5 }, clock: h.clock });
    const served = new ServedDocs(h, topicOf?.(h) ?? inMemory(), {});
    const { client, transport: link } = served.client();
    const follow = (since?: { value: number[]; position: { epoch: string; offset: number } }) => {
      let loads = 0;
      const watched = watch<DocEvent, number[]>(client.docs.changes, {
        load: () => {
          loads += 1;
          const outcome = served.topic.read(undefined, 1000);
          const value = outcome.kind === 'events' ? outcome.events.map(({ event }) => event.n) : [];
          return { value, position: served.topic.head() };
        },
        apply: (value, { n }) => [...value, n],
        since,
        clock: h.clock,
      });
      return { watched, loads: () => loads };
    };
    const end = async () => {
      await served.stop();
      await h[Symbol.asyncDispose]();
    };
    return { h, served, link, follow, inMemory, end };
  }

  test('a transparent reconnect is invisible to it', async () => {
    const { h, served, follow, end } = await setup();
    const { watched, loads } = follow();
    await h.settled();
    const states: string[] = [];
    watched.onChange(() => states.push(watched.state));
    h.link.cut();
    served.publish(1);
    await h.advance(3_000);
    served.publish(2);
    await h.settled();
    expect([watched.value, states, loads()]).toEqual([[1, 2], ['live', 'live'], 1]);
    expect(watched.stats.resubscribes).toBe(0);
    watched.dispose();
    await end();
  });

  test('after a hard reconnect it resubscribes since its position, and loads nothing inside the history', async () => {
    const { h, served, link, follow, end } = await setup();
    const { watched, loads } = follow();
    await h.settled();
    served.publish(1);
    await h.settled();
    link.hardDisconnect();
    for (const n of [2, 3, 4]) served.publish(n);
    await h.advance(3_000);
    expect([watched.value, watched.state, loads()]).toEqual([[1, 2, 3, 4], 'live', 1]);
    expect(watched.stats).toMatchObject({ resubscribes: 1, unrecoveredResubscribes: 0, resets: 0 });
    watched.dispose();
    await end();
  });

  test('after a hard reconnect outside the history it is reset once, and loads once', async () => {
    const { h, served, link, follow, end } = await setup();
    const { watched, loads } = follow();
    await h.settled();
    link.hardDisconnect();
    for (let n = 1; n <= 9; n++) served.publish(n);
    await h.advance(3_000);
    expect([watched.value, watched.state, loads()]).toEqual([[5, 6, 7, 8, 9], 'live', 2]);
    expect(watched.stats).toMatchObject({ resubscribes: 1, unrecoveredResubscribes: 1, resets: 1 });
    watched.dispose();
    await end();
  });

  test('when a server with a topic in memory restarts, the epoch changes: it is reset and loads', async () => {
    const { h, served, follow, inMemory, end } = await setup();
    const { watched, loads } = follow();
    await h.settled();
    served.publish(1);
    await h.settled();
    const { position } = watched;
    const reached = expect(watched.reached({ ...(position ?? served.topic.head()), offset: 9 })).rejects.toMatchObject({
      code: 'OTHER_EPOCH',
    });
    await served.restart(inMemory());
    served.publish(7);
    await h.advance(5_000);
    await reached;
    expect([watched.value, watched.state, loads()]).toEqual([[7], 'live', 2]);
    expect(watched.position?.epoch).not.toBe(position?.epoch);
    expect(watched.stats).toMatchObject({ resets: 1, unrecoveredResubscribes: 1 });
    watched.dispose();
    await end();
  });

  test('when a server with a durable topic restarts, it recovers', async () => {
    folder = temporaryFolder();
    const path = join(folder.path, 'topics.db');
    let db = new Database(path);
    const durable = (h: Awaited<ReturnType<typeof createHarness>>) =>
      createTopic({ event: DocEvent, store: new SqliteTopicStore(db, { name: 'docs' }), clock: h.clock });
    const { h, served, follow, end } = await setup(durable);
    const { watched, loads } = follow();
    await h.settled();
    served.publish(1);
    await h.settled();
    await served.stop();
    db.close();
    db = new Database(path);
    const topic = durable(h);
    topic.publish({ key: 'a', n: 2 });
    await served.restart(topic);
    served.publish(3);
    await h.advance(5_000);
    expect([watched.value, watched.state, loads()]).toEqual([[1, 2, 3], 'live', 1]);
    expect(watched.stats).toMatchObject({ resets: 0, unrecoveredResubscribes: 0 });
    watched.dispose();
    await end();
    db.close();
  });

  test('after a restart of its own it goes on from a saved position, else it loads', async () => {
    const { h, served, follow, end } = await setup();
    const first = follow();
    await h.settled();
    served.publish(1);
    await h.settled();
    const { value = [], position = served.topic.head() } = first.watched;
    first.watched.dispose();
    served.publish(2);
    const [saved, unsaved] = [follow({ value, position }), follow()];
    await h.settled();
    expect([saved.watched.value, saved.watched.state, saved.loads()]).toEqual([[1, 2], 'live', 0]);
    expect([unsaved.watched.value, unsaved.watched.state, unsaved.loads()]).toEqual([[1, 2], 'live', 1]);
    saved.watched.dispose();
    unsaved.watched.dispose();
    await end();
  });

  test('when the server forgets its watchers and the session stays healthy, a resync heals it', async () => {
    const { h, served, follow, end } = await setup();
    const { watched } = follow();
    await h.settled();
    served.forgetWatchers();
    served.publish(1);
    await h.advance(60_000);
    expect([watched.value, watched.state]).toEqual([[], 'live']); // nobody has told it
    await h.advance(315_000);
    expect([watched.value, watched.state, watched.stats.resyncs]).toEqual([[1], 'live', 1]);
    watched.dispose();
    await end();
  });

  test('nothing is left of it once it is disposed of, wherever it was', async () => {
    const { h, served, link, follow, end } = await setup();
    const connecting = follow();
    connecting.watched.dispose();
    await h.settled();
    const live = follow();
    await h.settled();
    live.watched.dispose();
    await h.settled();
    expect(served.server.openCalls).toBe(0);
    const waiting = follow();
    await h.settled();
    link.hardDisconnect();
    await h.settled();
    waiting.watched.dispose();
    await h.advance(3_000);
    expect(served.server.openCalls).toBe(0);
    await end();
  });
});
