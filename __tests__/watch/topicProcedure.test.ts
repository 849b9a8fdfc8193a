import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { matrix } from '../../testUtil/matrix.ts';
import type { TopicMessage } from '../../watch/messages.ts';
import { createMirror } from '../../watch/mirror.ts';
import { SqliteTopicStore } from '../../watch/sqliteStore.ts';
import { createTopic } from '../../watch/topic.ts';
import { allExtensions } from '../support/extensions.ts';
import { DocEvent, type DocProcedureOptions, type ServedDocs, serveDocs } from './support/served.ts';
import { subscribe, using } from './support/subscribe.ts';

describe.each(matrix)('following a topic over $name', ({ transport, codec }) => {
  const run = (options: DocProcedureOptions & { keep?: number }, body: (served: ServedDocs) => Promise<void>) =>
    using({ transport, codec, ...options }, body);

  test('begins at the head, and then gives every event in order', () =>
    run({}, async (served) => {
      served.publish(1);
      const { heard, numbers } = subscribe(served);
      await served.h.settled();
      const { epoch } = served.topic.head();
      expect(heard).toEqual([{ type: 'ready', position: { epoch, offset: 1 }, isRecovered: false }]);
      served.topic.publishAll([
        { key: 'a', n: 2 },
        { key: 'b', n: 3 },
      ]);
      served.publish(4);
      await served.h.settled();
      served.publish(5);
      await served.h.settled();
      expect(heard[1]).toMatchObject({ type: 'events', epoch, through: 4 });
      expect(numbers()).toEqual([2, 3, 4, 5]);
    }));

  test('goes on where it was, in pieces, while others are at the head', () =>
    run({ batch: 2 }, async (served) => {
      for (let n = 1; n <= 7; n++) served.publish(n);
      const { epoch } = served.topic.head();
      const live = subscribe(served);
      await served.h.settled();
      const late = subscribe(served, { since: { epoch, offset: 2 } });
      await served.h.settled();
      served.publish(8);
      await served.h.settled();
      const ready = { type: 'ready', position: { epoch, offset: 2 }, isRecovered: true, head: { epoch, offset: 7 } };
      expect(late.heard[0]).toEqual(ready);
      expect(late.numbers()).toEqual([3, 4, 5, 6, 7, 8]);
      expect(late.heard.length).toBeGreaterThan(3);
      expect(live.numbers()).toEqual([8]);
    }));

  test.each([
    ['that the history has lost', 1, undefined],
    ['beyond the head', 99, undefined],
    ['of another epoch', 4, 'other'],
  ])('since a position %s begins at the head, and says that it is not recovered', (_what, offset, other) =>
    run({ keep: 3 }, async (served) => {
      for (let n = 1; n <= 5; n++) served.publish(n);
      const { epoch } = served.topic.head();
      const { heard } = subscribe(served, { since: { epoch: other ?? epoch, offset } });
      await served.h.settled();
      expect(heard).toEqual([{ type: 'ready', position: { epoch, offset: 5 }, isRecovered: false }]);
    }),
  );

  test('with keys gives only their events, and says how far it is without any', () =>
    run({ progressMs: 100 }, async (served) => {
      const { epoch } = served.topic.head();
      served.publish(1, 'x');
      const { heard, numbers } = subscribe(served, { since: { epoch, offset: 0 }, keys: ['a', 'b'] });
      await served.h.settled();
      expect(heard.at(-1)).toEqual({ type: 'progress', position: { epoch, offset: 1 } });
      served.publish(2, 'a');
      served.publish(3, 'x');
      served.publish(4, 'b');
      served.publish(5, 'x');
      await served.h.settled();
      expect(numbers()).toEqual([2, 4]);
      expect(heard.at(-1)).toMatchObject({ type: 'events', through: 4 });
      await served.h.advance(100);
      expect(heard.at(-1)).toEqual({ type: 'progress', position: { epoch, offset: 5 } });
      const { length } = heard;
      await served.h.advance(1000);
      expect(heard).toHaveLength(length);
    }));

  test('a slow subscriber holds nobody up, is sent nothing it cannot take, and is reset when the history has moved on', () =>
    run({ keep: 5 }, async (served) => {
      const fast = subscribe(served);
      const text = 'x'.repeat(300);
      const slowClient = served.client({ readableHighWaterBytes: 500, extensions: allExtensions }, 'slow').client;
      const { resReadable } = slowClient.docs.changes.subscribe({});
      await served.h.settled();
      for (let n = 1; n <= 50; n++) {
        served.topic.publish({ key: 'a', n, text });
        await served.h.settled();
      }
      expect(fast.numbers()).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
      const heard: TopicMessage<DocEvent>[] = [];
      void (async () => {
        for await (const result of resReadable) if (result.ok) heard.push(result.payload);
      })();
      await served.h.settled();
      served.publish(51);
      await served.h.settled();
      const kinds = heard.map(({ type }) => type);
      expect(kinds.filter((kind) => kind === 'reset')).toHaveLength(1);
      expect(kinds.length).toBeLessThan(20);
      const reset = kinds.indexOf('reset');
      // Whatever came before the reset is without a gap, and so is what comes after.
      const before = heard.slice(0, reset).flatMap((m) => ('events' in m ? m.events.map(({ event }) => event.n) : []));
      expect(before).toEqual(before.map((_, i) => i + 1));
      expect(heard[reset]).toMatchObject({ position: { offset: 50 } });
      expect(heard.at(-1)).toMatchObject({ type: 'events', events: [{ offset: 51 }] });
    }));
});

const NO_ANSWER = 'expected authorize to answer true, false or { revoked: AbortSignal }, got ';

describe('authorisation', () => {
  test('comes before the first message', () =>
    using(
      {
        authorize: () => new Promise((resolve) => (answer = resolve)),
      },
      async (served) => {
        const { heard } = subscribe(served);
        await served.h.settled();
        served.publish(1);
        await served.h.settled();
        expect(heard).toEqual([]);
        answer(true);
        await served.h.settled();
        expect(heard).toMatchObject([{ type: 'ready', position: { offset: 1 } }]);
      },
    ));
  let answer: (permission: boolean) => void = () => undefined;

  test.each<[string, DocProcedureOptions['authorize']]>([
    ['no', () => false],
    ['a revoked permission', () => ({ revoked: AbortSignal.abort() })],
  ])('%s refuses', (_what, authorize) =>
    using({ authorize }, async (served) => {
      const { heard, done } = subscribe(served);
      await served.h.settled();
      await done;
      expect(heard).toEqual([{ code: 'NOT_AUTHORIZED' }]);
      expect(served.server.openCalls).toBe(0);
    }),
  );

  test.each<[string, DocProcedureOptions['authorize'], string]>([
    [
      'an exception',
      () => {
        throw new Error('secret');
      },
      'secret',
    ],
    ['a rejection', () => Promise.reject(new Error('secret')), 'secret'],
    ['something that is no answer', () => 'yes' as never, `${NO_ANSWER}yes`],
    ['nothing', () => undefined as never, `${NO_ANSWER}undefined`],
    ['null', () => null as never, `${NO_ANSWER}null`],
    ['an object that is no answer', () => ({}) as never, `${NO_ANSWER}an object without an AbortSignal`],
  ])('%s permits nothing, is logged, and does not refuse for good', (_what, authorize, message) =>
    using({ authorize }, async (served) => {
      const logged: unknown[] = [];
      served.transport.bindLogger((_text, { error }) => error !== undefined && logged.push(error), 'error');
      const { heard, done } = subscribe(served);
      await served.h.settled();
      await done;
      expect(heard).toEqual([{ code: 'UNCAUGHT_ERROR' }]);
      expect(logged).toMatchObject([{ message }]);
      expect(served.server.openCalls).toBe(0);
    }),
  );

  test('is told of the keys, and keys of a topic without any are refused', () =>
    using({ authorize: ({ keys }) => keys?.includes('mine') === true }, async (served) => {
      const mine = subscribe(served, { keys: ['mine'] });
      const all = subscribe(served);
      await served.h.settled();
      expect(mine.heard).toMatchObject([{ type: 'ready' }]);
      expect(all.heard).toEqual([{ code: 'NOT_AUTHORIZED' }]);
    }));

  test('is revoked while subscribed, for one subscriber and not for others', async () => {
    const controllers: AbortController[] = [];
    const authorize = () => {
      const controller = new AbortController();
      controllers.push(controller);
      return { revoked: controller.signal };
    };
    await using({ authorize }, async (served) => {
      const first = subscribe(served);
      await served.h.settled();
      const second = subscribe(served);
      await served.h.settled();
      controllers[0]?.abort();
      served.publish(1);
      await served.h.settled();
      expect(first.heard.slice(1)).toEqual([{ code: 'NOT_AUTHORIZED' }]);
      expect(second.numbers()).toEqual([1]);
      expect(served.server.openCalls).toBe(1);
    });
  });

  test('is asked again when it is told to, and nothing is sent until the answer', async () => {
    const answers: ((permission: boolean) => void)[] = [];
    const authorize = () => new Promise<boolean>((resolve) => answers.push(resolve));
    await using({ authorize }, async (served) => {
      const [one, two] = [subscribe(served), subscribe(served)];
      await served.h.settled();
      for (const answer of answers.splice(0)) answer(true);
      await served.h.settled();
      const asked = served.services.docs.procedures.changes.reauthorize();
      served.publish(1);
      await served.h.settled();
      expect([one.numbers(), two.numbers()]).toEqual([[], []]);
      answers[0]?.(true);
      answers[1]?.(false);
      await asked;
      await served.h.settled();
      served.publish(2);
      await served.h.settled();
      expect(one.numbers()).toEqual([1, 2]);
      expect(two.numbers()).toEqual([]);
      expect(two.heard.at(-1)).toEqual({ code: 'NOT_AUTHORIZED' });
    });
  });

  test('an answer from before reauthorize() is not believed after it', async () => {
    const answers: ((permission: boolean) => void)[] = [];
    const authorize = () => new Promise<boolean>((resolve) => answers.push(resolve));
    await using({ authorize }, async (served) => {
      const { heard } = subscribe(served);
      await served.h.settled();
      void served.services.docs.procedures.changes.reauthorize();
      answers[0]?.(true);
      await served.h.settled();
      expect(heard).toEqual([]);
      answers[1]?.(false);
      await served.h.settled();
      expect(heard).toEqual([{ code: 'NOT_AUTHORIZED' }]);
    });
  });
});

test('keys of a topic whose events have none are refused', () =>
  using({ key: undefined }, async (served) => {
    const { heard } = subscribe(served, { keys: ['a'] });
    await served.h.settled();
    expect(heard).toEqual([{ code: 'NO_KEYS' }]);
  }));

test('who comes to the head while those that are there make others publish has those events, too', async () => {
  let publish: (() => void) | undefined;
  const key = (event: DocEvent) => {
    publish?.();
    return event.key;
  };
  await using({ key }, async (served) => {
    subscribe(served, { keys: ['a'] });
    await served.h.settled();
    served.forgetWatchers();
    served.publish(1);
    publish = () => {
      publish = undefined;
      served.publish(2);
    };
    const { numbers } = subscribe(served);
    await served.h.settled();
    expect(numbers()).toEqual([2]);
  });
});

test('one event goes to all who are at the head in one encoding, and to nobody twice', () =>
  using({}, async (served) => {
    // Peers that do not speak `compact` get an encoding each.
    const all = Array.from({ length: 20 }, () =>
      subscribe(served, {}, served.client({ extensions: allExtensions }).client),
    );
    await served.h.settled();
    let reads = 0;
    const event = {
      key: 'a',
      get n() {
        reads += 1;
        return 1;
      },
    };
    served.topic.publish(event);
    await served.h.settled();
    const each = all.map(({ numbers }) => numbers());
    expect(each).toEqual(all.map(() => [1]));
    expect(reads).toBeLessThan(all.length / 2);
  }));

test('an event that no message can carry resets its subscribers, and the next reaches them', () =>
  using({ maxEventBytes: 1000 }, async (served) => {
    const { epoch } = served.topic.head();
    const live = subscribe(served);
    await served.h.settled();
    served.publish(1);
    served.topic.publish({ key: 'a', n: 2, text: 'x'.repeat(2000) });
    served.publish(3);
    const late = subscribe(served, { since: { epoch, offset: 0 } });
    await served.h.settled();
    for (const { heard, numbers } of [live, late]) {
      expect(heard.map((message) => ('type' in message ? message.type : ''))).toEqual([
        'ready',
        'events',
        'reset',
        'events',
      ]);
      expect(heard[2]).toEqual({ type: 'reset', position: { epoch, offset: 2 } });
      expect(numbers()).toEqual([1, 3]);
    }
  }));

test('events that are large together go out in several messages', () =>
  using({ maxBatchBytes: 1200 }, async (served) => {
    const { heard, numbers } = subscribe(served);
    await served.h.settled();
    served.topic.publishAll([1, 2, 3, 4].map((n) => ({ key: 'a', n, text: 'é'.repeat(150) })));
    await served.h.settled();
    expect(numbers()).toEqual([1, 2, 3, 4]);
    expect(heard).toHaveLength(3);
  }));

test("a mirror is served under its origin's positions, and its resets reach downstream", async () => {
  const { createHarness } = await import('../../testUtil/harness.ts');
  const { JsonCodec } = await import('../../codec/json.ts');
  const { docServices } = await import('./support/served.ts');
  const { createServer } = await import('../../router/server.ts');
  const { createClient } = await import('../../router/client.ts');
  const h = await createHarness({ transport: 'memory', codec: JsonCodec });
  const mirror = createMirror({ event: DocEvent, clock: h.clock });
  mirror.reset({ epoch: 'E', offset: 5 });
  const services = docServices(mirror);
  const server = createServer(h.server(), services);
  const client = createClient<typeof services>(h.client());
  const heard: TopicMessage<DocEvent>[] = [];
  void (async () => {
    for await (const result of client.docs.changes.subscribe({}).resReadable) if (result.ok) heard.push(result.payload);
  })();
  await h.settled();
  mirror.append([{ position: { epoch: 'E', offset: 7 }, event: { key: 'a', n: 1 } }], { epoch: 'E', offset: 9 });
  await h.settled();
  mirror.reset({ epoch: 'F', offset: 2 });
  await h.settled();
  expect(heard).toEqual([
    { type: 'ready', position: { epoch: 'E', offset: 5 }, isRecovered: false },
    { type: 'events', epoch: 'E', through: 7, events: [{ offset: 7, event: { key: 'a', n: 1 } }] },
    { type: 'progress', position: { epoch: 'E', offset: 9 } },
    { type: 'reset', position: { epoch: 'F', offset: 2 } },
  ]);
  await server.close();
  await h.settled();
  mirror.close();
  await h[Symbol.asyncDispose]();
});

test('nobody listens to a topic that nobody follows', async () => {
  const topic = createTopic({ event: DocEvent });
  let listeners = 0;
  const counted = {
    ...topic,
    head: () => topic.head(),
    read: topic.read.bind(topic),
    onAppend: (listener: () => void) => {
      listeners += 1;
      const stop = topic.onAppend(listener);
      return () => {
        listeners -= 1;
        stop();
      };
    },
  };
  const served = await serveDocs();
  await served.restart(
    Object.assign(counted, { publish: topic.publish.bind(topic), close: () => topic.close() }) as never,
  );
  const { resReadable } = served.client().client.docs.changes.subscribe({ keys: ['a'] });
  await served.h.settled();
  expect(listeners).toBe(1);
  topic.publish({ key: 'x', n: 1 });
  await served.h.settled();
  resReadable.break();
  await served.h.settled();
  expect(listeners).toBe(0);
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('a source that cannot be read, and a key that throws, end subscriptions, and neither the process nor the events', () =>
  using(
    {
      key: ({ key }) => {
        if (key === 'bad') throw new Error('no key');
        return key;
      },
    },
    async (served) => {
      const { client } = served.client();
      const all = subscribe(served, {}, client);
      const some = subscribe(served, { keys: ['a'] }, client);
      await served.h.settled();
      served.publish(1, 'bad');
      await served.h.settled();
      await Promise.all([all.done, some.done]);
      expect(all.numbers()).toEqual([1]);
      expect(some.heard).toHaveLength(1);
      const again = subscribe(served, {}, client);
      await served.h.settled();
      served.publish(2);
      await served.h.settled();
      expect(again.numbers()).toEqual([2]);
      served.breakSource();
      served.publish(3);
      await served.h.settled();
      await again.done;
      expect(again.numbers()).toEqual([2]);
      expect(served.server.openCalls).toBe(0);
    },
  ));

test('who subscribes between a commit and its announcement is not told again of what it began behind', async () => {
  const served = await serveDocs();
  const db = new Database(':memory:');
  const store = new SqliteTopicStore(db, { name: 'docs' });
  await served.restart(createTopic({ event: DocEvent, store, clock: served.h.clock }));
  const early = subscribe(served);
  await served.h.settled();
  db.exec('BEGIN');
  served.publish(1);
  await served.h.settled();
  db.exec('COMMIT');
  const late = subscribe(served);
  await served.h.settled();
  await served.h.advance(10);
  served.publish(2);
  await served.h.settled();
  expect([early.numbers(), late.numbers()]).toEqual([[1, 2], [2]]);
  await served.stop();
  db.close();
  await served.h[Symbol.asyncDispose]();
});
