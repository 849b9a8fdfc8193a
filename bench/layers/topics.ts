import { Type } from '@sinclair/typebox';
import { createClient, createServer, createServiceSchema, values } from 'holdfast';
import { createMemoryNetwork } from 'holdfast/transport/memory';
import {
  createTopic,
  MemoryTopicStore,
  type Position,
  SqliteTopicStore,
  type Topic,
  topicProcedure,
} from 'holdfast/watch';
import type Database from 'libsql';
import type { Measured } from './measured.ts';

const Event = Type.Object({ n: Type.Number(), s: Type.String() });
type Event = { n: number; s: string };
const eventOf = (n: number): Event => ({ n, s: '0123456789abcdef' });

const READ_AT_ONCE = 1_000;

/** Reads whatever is published, as it comes, and checks that nothing is missing. */
function follow(topic: Topic<Event>): { seen: () => number; stop: () => void } {
  let position: Position = topic.head();
  let seen = 0;
  const read = () => {
    for (;;) {
      const outcome = topic.read(position, READ_AT_ONCE);
      if (outcome.kind === 'gap') throw new Error('the follower was overtaken');
      for (const { event, position: at } of outcome.events) {
        if (event.n !== seen) throw new Error(`expected event ${seen}, got ${event.n}`);
        seen += 1;
        position = at;
      }
      if (outcome.events.length < READ_AT_ONCE) return;
    }
  };
  return { seen: () => seen, stop: topic.onAppend(read) };
}

function publishAll(topic: Topic<Event>, count: number, atOnce: number): Measured {
  const follower = follow(topic);
  const startedAt = performance.now();
  for (let n = 0; n < count; n += atOnce) {
    if (atOnce === 1) topic.publish(eventOf(n));
    else topic.publishAll(Array.from({ length: atOnce }, (_, i) => eventOf(n + i)));
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  follower.stop();
  topic.close();
  if (follower.seen() !== count) throw new Error(`expected ${count} events to be followed, got ${follower.seen()}`);
  return { perSecond: count / seconds };
}

/** One at a time, with a follower that reads each. */
export function inMemory(): Measured {
  return publishAll(createTopic({ event: Event, store: new MemoryTopicStore() }), 500_000, 1);
}

/** In a file, so many in a transaction. */
export function durably(db: Database.Database, atOnce: number, count: number): Measured {
  const store = new SqliteTopicStore(db, { name: `by ${atOnce}` });
  return publishAll(createTopic({ event: Event, store }), count, atOnce);
}

const CLIENTS = 10;
const SUBSCRIPTIONS = 1_000;
const EVENTS = 20;

/** Ten thousand subscribers of one topic, through sessions in memory: every event to every one of them. */
export async function toSubscribers(): Promise<Measured> {
  const topic = createTopic({ event: Event });
  const changes = topicProcedure(topic, { event: Event, authorize: () => true });
  const services = { feed: createServiceSchema().define({ changes }) };
  const network = createMemoryNetwork();
  const server = createServer(network.createServerTransport(), services);
  const transports = Array.from({ length: CLIENTS }, () => network.createClientTransport());
  let ready = 0;
  let delivered = 0;
  let onAll: () => void = () => undefined;
  const all = CLIENTS * SUBSCRIPTIONS;
  const subscribe = async (transport: (typeof transports)[number]): Promise<void> => {
    const client = createClient<typeof services>(transport, 'SERVER');
    for await (const message of values(client.feed.changes.subscribe({}).resReadable)) {
      if (message.type === 'ready') ready += 1;
      else if (message.type === 'events') delivered += message.events.length;
      if (ready === all && delivered % all === 0) onAll();
    }
  };
  const allReady = new Promise<void>((resolve) => {
    onAll = resolve;
  });
  const ended = transports.flatMap((transport) =>
    Array.from({ length: SUBSCRIPTIONS }, () => subscribe(transport).catch(() => undefined)),
  );
  await allReady;
  const startedAt = performance.now();
  for (let n = 0; n < EVENTS; n++) {
    const told = new Promise<void>((resolve) => {
      onAll = resolve;
    });
    topic.publish(eventOf(n));
    await told;
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const transport of transports) transport.close();
  await Promise.all(ended);
  await server.close();
  topic.close();
  return { perSecond: (all * EVENTS) / seconds };
}
