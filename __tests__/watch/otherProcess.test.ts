import Database from 'libsql';
import { expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { SqliteTopicStore } from '../../watch/sqliteStore.ts';
import { createTopic, type Topic } from '../../watch/topic.ts';
import { watch } from '../../watch/watch.ts';
import { DocEvent, ServedDocs } from './support/served.ts';
import { temporaryFolder } from './support/stores.ts';

/** A topic whose owner is another process, which publishes right after this one has found nothing new, once. */
function twoProcesses(path: string) {
  const [theirs, ours] = [new Database(path), new Database(path)];
  const open = (db: Database.Database) =>
    createTopic({ event: DocEvent, store: new SqliteTopicStore(db, { name: 'docs' }) });
  const [owner, own] = [open(theirs), open(ours)];
  let isDue = true;
  const reader: Topic<DocEvent> = {
    event: own.event,
    publish: (event) => own.publish(event),
    publishAll: (events) => own.publishAll(events),
    head: () => own.head(),
    onAppend: (listener) => own.onAppend(listener),
    reached: (position, options) => own.reached(position, options),
    close: () => own.close(),
    read(after, limit) {
      const outcome = own.read(after, limit);
      if (isDue && after?.offset === 1 && outcome.kind === 'events' && outcome.events.length === 0) {
        isDue = false;
        owner.publish({ key: 'a', n: 2 });
      }
      return outcome;
    },
  };
  const close = () => {
    for (const end of [owner, own, theirs, ours]) end.close();
  };
  return { owner, reader, close };
}

test.each(['a client', 'this process'])(
  'what the owner publishes between two looks at its history is not skipped, for %s that follows it here',
  async (follower) => {
    const folder = temporaryFolder();
    const { owner, reader, close } = twoProcesses(`${folder.path}/topics.db`);
    owner.publish({ key: 'a', n: 1 });
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    const served = new ServedDocs(h, reader, {});
    const watched = watch<DocEvent, number[]>(follower === 'a client' ? served.client().client.docs.changes : reader, {
      since: { value: [], position: { ...owner.head(), offset: 0 } },
      load: () => Promise.reject(new Error('nothing was missed')),
      apply: (seen, { n }) => [...seen, n],
      clock: h.clock,
    });
    await h.settled();
    const head = owner.publish({ key: 'a', n: 3 });
    // Somebody has told this process that there is something.
    await reader.reached(head);
    await h.settled();
    expect([watched.value, watched.stats.loads]).toEqual([[1, 2, 3], 0]);
    watched.dispose();
    await served.stop();
    await h[Symbol.asyncDispose]();
    close();
    folder.remove();
  },
);
