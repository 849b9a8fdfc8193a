import { expect, test } from 'vitest';
import type { ErrorPayload } from '../../router/errors.ts';
import { ReadableQueue } from '../../router/readable.ts';
import { Ok } from '../../router/result.ts';
import { remoteAttempts } from '../../watch/attempt.ts';
import { Follower } from '../../watch/follower.ts';
import type { TopicMessage } from '../../watch/messages.ts';
import { quietClock } from './support/clock.ts';

type Message = TopicMessage<number>;
const at = (offset: number) => ({ epoch: 'E', offset });

function setup() {
  const clock = quietClock();
  const queues: ReadableQueue<Message, ErrorPayload>[] = [];
  const subscribe = () => {
    const resReadable = new ReadableQueue<Message, ErrorPayload>();
    queues.push(resReadable);
    return { resReadable };
  };
  const heard: string[] = [];
  const follower = new Follower<number>(remoteAttempts({ subscribe }), () => ({}), undefined, clock, {
    onReady: (beginning, { offset }) => heard.push(`${beginning} ${offset}`),
    onEvents: (events, { offset }) => heard.push(`${events.map(({ event }) => event)} through ${offset}`),
    onReset: ({ offset }) => heard.push(`reset ${offset}`),
    onLost: (error) => heard.push(`lost ${error?.code}`),
    onRefused: ({ code }) => heard.push(`refused ${code}`),
  });
  const say = (attempt: number, message: Message) => queues[attempt]?.push(Ok(message));
  return { clock, queues, heard, follower, say };
}

test('what was on its way when an attempt was revoked is not delivered, nor taken for the next one', async () => {
  const { clock, queues, heard, follower, say } = setup();
  follower.start();
  await clock.advance(0);
  say(0, { type: 'ready', position: at(0), isRecovered: false });
  await clock.advance(0);
  say(0, { type: 'events', epoch: 'E', through: 1, events: [{ offset: 1, event: 1 }] });
  follower.resubscribe(); // before the reader of the first has had its turn
  await clock.advance(0);
  expect([heard, queues.length]).toEqual([['first 0'], 2]);
  say(1, { type: 'ready', position: at(0), isRecovered: true });
  say(1, { type: 'events', epoch: 'E', through: 1, events: [{ offset: 1, event: 1 }] });
  await clock.advance(0);
  expect(heard).toEqual(['first 0', 'recovered 0', '1 through 1']);
  follower.stop();
});

test('events that were heard already are passed over, and positions that go back end the attempt', async () => {
  const { clock, heard, follower, say } = setup();
  follower.start();
  await clock.advance(0);
  say(0, { type: 'ready', position: at(5), isRecovered: false });
  const events = [4, 5, 6].map((offset) => ({ offset, event: offset }));
  say(0, { type: 'events', epoch: 'E', through: 6, events });
  say(0, { type: 'progress', position: at(5) });
  await clock.advance(0);
  expect(heard).toEqual(['first 5', '6 through 6', 'lost UNEXPECTED_MESSAGE']);
  follower.stop();
  expect(clock.pendingTimers).toBe(0);
});

test.each<[string, Message]>([
  ['of another epoch', { type: 'progress', position: { epoch: 'F', offset: 9 } }],
  ['before ready', { type: 'progress', position: at(9) }],
])('a message %s ends the attempt that follows another', async (what, message) => {
  const { clock, heard, follower, say } = setup();
  follower.start();
  say(0, { type: 'ready', position: at(5), isRecovered: false });
  await clock.advance(0);
  follower.resubscribe();
  if (what !== 'before ready') say(1, { type: 'ready', position: at(5), isRecovered: true });
  say(1, message);
  await clock.advance(0);
  expect(heard.at(-1)).toBe('lost UNEXPECTED_MESSAGE');
  follower.stop();
});

test('whoever asks for another attempt while one is due gets that one, when it is due', async () => {
  const { clock, queues, follower, say } = setup();
  follower.start();
  say(0, { type: 'progress', position: at(1) });
  await clock.advance(0);
  follower.resubscribe();
  await clock.advance(99);
  expect(queues).toHaveLength(1);
  await clock.advance(101);
  expect(queues).toHaveLength(2);
  await clock.advance(10_000);
  expect(queues).toHaveLength(2);
  follower.stop();
});
