import { expect, test } from 'vitest';
import type { ErrorPayload } from '../../router/errors.ts';
import { ReadableQueue } from '../../router/readable.ts';
import { Err, Ok } from '../../router/result.ts';
import { Backlog } from '../../watch/backlog.ts';
import { OriginError, WatchClosedError } from '../../watch/errors.ts';
import type { TopicMessage, TopicRequest } from '../../watch/messages.ts';
import type { ReadOutcome } from '../../watch/source.ts';
import { quietClock } from './support/clock.ts';

const at = (offset: number) => ({ epoch: 'E', offset });

class Call {
  isOpen = true;
  readonly request: TopicRequest;
  readonly queue = new ReadableQueue<TopicMessage<number>, ErrorPayload>(undefined, () => {
    this.isOpen = false;
  });
  constructor(request: TopicRequest) {
    this.request = request;
  }
  /** Answers with a history of so many, and with the first that were asked for. */
  ready(head: number): this {
    const position = this.request.since ?? at(0);
    return this.say({ type: 'ready', position, isRecovered: true, ...(head > position.offset && { head: at(head) }) });
  }
  events(...offsets: number[]): this {
    const through = offsets.at(-1) ?? 0;
    return this.say({
      type: 'events',
      epoch: 'E',
      through,
      events: offsets.map((offset) => ({ offset, event: offset })),
    });
  }
  say(message: TopicMessage<number>): this {
    this.queue.push(Ok(message));
    return this;
  }
  end(error?: ErrorPayload): void {
    if (error !== undefined) this.queue.push(Err(error));
    this.queue.close();
    this.isOpen = false;
  }
}

function setup() {
  const clock = quietClock();
  const calls: Call[] = [];
  const subscribe = (request: TopicRequest) => {
    const call = new Call(request);
    calls.push(call);
    return { resReadable: call.queue };
  };
  const backlog = new Backlog<number>({ subscribe }, clock);
  const open = () => calls.filter(({ isOpen }) => isOpen).length;
  const call = (index: number): Call => {
    const found = calls.at(index);
    if (found === undefined) throw new Error(`expected call ${index}, got ${calls.length} calls`);
    return found;
  };
  return { clock, calls, call, open, backlog };
}

const shown = (outcome: ReadOutcome<number>) =>
  outcome.kind === 'gap'
    ? { gap: [outcome.oldest.offset, outcome.head.offset] }
    : { events: outcome.events.map(({ event }) => event), through: outcome.through?.offset };

test('who reads on is served by the same subscription, and by the end of it nothing is left', async () => {
  const { clock, calls, call, open, backlog } = setup();
  const first = backlog.read(at(1), 2);
  await clock.advance(0);
  expect(call(0).request).toEqual({ since: at(1), from: 'oldest' });
  call(0).ready(9).events(2, 3, 5);
  expect(shown(await first)).toEqual({ events: [2, 3], through: undefined });
  expect(shown(await backlog.read(at(3), 2))).toEqual({ events: [5], through: undefined });
  call(0).say({ type: 'progress', position: at(7) });
  expect(shown(await backlog.read(at(5), 2))).toEqual({ events: [], through: 7 });
  call(0).events(8, 9);
  expect([calls.length, open()]).toEqual([1, 1]);
  expect(shown(await backlog.read(at(7), 2))).toEqual({ events: [8, 9], through: undefined });
  expect([calls.length, open(), clock.pendingTimers]).toEqual([1, 0, 0]);
});

test('the answer says whether there is nothing, or a gap', async () => {
  const { clock, call, open, backlog } = setup();
  const [none, gap, tooLarge] = [backlog.read(at(4), 2), backlog.read(at(2), 2), backlog.read(at(6), 2)];
  await clock.advance(0);
  call(0).ready(4);
  call(1).say({ type: 'ready', position: at(3), isRecovered: false, head: at(9) });
  call(2)
    .ready(9)
    .say({ type: 'reset', position: at(7) });
  expect([await none, await gap, await tooLarge].map(shown)).toEqual([
    { events: [], through: 4 },
    { gap: [3, 9] },
    { gap: [7, 9] },
  ]);
  expect([open(), clock.pendingTimers]).toEqual([0, 0]);
});

test.each<[string, (call: Call) => void]>([
  ['says that it has lost its place', (call) => call.say({ type: 'reset', position: at(50) })],
  ['ends', (call) => call.end()],
  ['fails', (call) => call.end({ code: 'UNEXPECTED_DISCONNECT', message: 'gone' })],
])('a subscription that %s while its reader is away is begun anew where the reader is', async (_name, happen) => {
  const { clock, call, open, backlog } = setup();
  const first = backlog.read(at(1), 2);
  await clock.advance(0);
  call(0).ready(9).events(2, 3);
  await first;
  happen(call(0));
  const second = backlog.read(at(3), 2);
  await clock.advance(0);
  expect(call(1).request.since).toEqual(at(3));
  call(1).say({ type: 'ready', position: at(40), isRecovered: false, head: at(60) });
  expect(shown(await second)).toEqual({ gap: [40, 60] });
  expect([open(), clock.pendingTimers]).toEqual([0, 0]);
});

test('an origin that fails, is silent, or does not keep the order, is an error and no gap', async () => {
  const { clock, call, open, backlog } = setup();
  const reads = [1, 2, 3, 4].map((offset) => expect(backlog.read(at(offset), 9)).rejects.toThrow(OriginError));
  await clock.advance(0);
  call(0).end({ code: 'UNCAUGHT_ERROR', message: 'disk I/O error' });
  call(1).end();
  call(2).ready(9).events(2);
  await clock.advance(30_000);
  await Promise.all(reads);
  expect([open(), clock.pendingTimers]).toEqual([0, 0]);
  const broken = new Backlog<number>({ subscribe: () => expect.fail('the transport was closed') }, clock);
  await expect(broken.read(at(1), 1)).rejects.toThrow(OriginError);
});

test('so many are open at once: one that waits for its reader gives way, and others wait for their turn', async () => {
  const { clock, calls, call, open, backlog } = setup();
  const waiting = backlog.read(at(100), 1);
  await clock.advance(0);
  call(0).ready(999).events(101);
  await waiting;
  const reads = Array.from({ length: 20 }, (_, i) => backlog.read(at(i), 1));
  await clock.advance(0);
  expect([calls.length, open(), call(0).isOpen]).toEqual([9, 8, false]);
  for (const [index, read] of reads.entries()) {
    expect(call(index + 1).request.since).toEqual(at(index));
    call(index + 1)
      .ready(index + 1)
      .events(index + 1);
    expect(shown(await read)).toEqual({ events: [index + 1], through: undefined });
    await clock.advance(0);
    expect(open()).toBeLessThanOrEqual(8);
  }
  expect([calls.length, open(), clock.pendingTimers]).toEqual([21, 0, 0]);
});

test('a reader that does not come back is not waited for; closing ends what is under way', async () => {
  const { clock, call, open, backlog } = setup();
  const left = backlog.read(at(1), 1);
  await clock.advance(0);
  call(0).ready(9).events(2);
  await left;
  expect(open()).toBe(1);
  await clock.advance(10_000);
  expect([open(), clock.pendingTimers]).toEqual([0, 0]);
  const kept = backlog.read(at(1), 1);
  const asking = expect(backlog.read(at(5), 1)).rejects.toThrow(WatchClosedError);
  await clock.advance(0);
  call(1).ready(9).events(2);
  await kept;
  expect(open()).toBe(2);
  backlog.close();
  await asking;
  await expect(backlog.read(at(2), 1)).rejects.toThrow(WatchClosedError);
  expect([open(), clock.pendingTimers]).toEqual([0, 0]);
});
