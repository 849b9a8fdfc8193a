import { describe, expect, test, vi } from 'vitest';
import { CallError, type ErrorPayload, ReadableLockedError } from '../router/errors.ts';
import { ReadableQueue, values } from '../router/readable.ts';
import { Err, Ok } from '../router/result.ts';

type Queue = ReadableQueue<number, ErrorPayload>;
const failure: ErrorPayload = { code: 'X', message: 'x' };
const broken = Err({ code: 'READABLE_BROKEN', message: 'the readable was broken before its end' });
const done = { done: true, value: undefined };

function filled(...items: number[]): Queue {
  const queue: Queue = new ReadableQueue();
  for (const item of items) queue.push(Ok(item));
  return queue;
}

describe('a readable', () => {
  test('yields what was pushed before and after it is read, in order, to its end', async () => {
    const queue = filled(1, 2);
    const collected = queue.collect();
    queue.push(Ok(3));
    queue.push(Err(failure));
    queue.close();
    expect(await collected).toEqual([Ok(1), Ok(2), Ok(3), Err(failure)]);
  });

  test('answers several questions at once in the order they were asked', async () => {
    const queue = filled();
    const iterator = queue[Symbol.asyncIterator]();
    const answers = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
    queue.push(Ok(1));
    queue.push(Ok(2));
    queue.close();
    const [first, second] = [1, 2].map((n) => ({ done: false, value: Ok(n) }));
    expect(await Promise.all(answers)).toEqual([first, second, done, done]);
    expect(await iterator.next()).toEqual(done);
  });

  test('drops what comes after its end', async () => {
    const queue = filled(1);
    queue.close();
    queue.push(Ok(2));
    queue.close();
    expect(await queue.collect()).toEqual([Ok(1)]);
  });

  test('keeps the order of a long queue through every compaction', async () => {
    const count = 10_000;
    const queue = filled(...Array.from({ length: count }, (_, i) => i));
    const iterator = queue[Symbol.asyncIterator]();
    const read: number[] = [];
    for (let i = 0; i < count / 2; i += 1) {
      const { value } = await iterator.next();
      if (value?.ok) read.push(value.payload);
      queue.push(Ok(count + i));
    }
    queue.close();
    for (let item = await iterator.next(); !item.done; item = await iterator.next()) {
      if (item.value.ok) read.push(item.value.payload);
    }
    expect(read).toEqual(Array.from({ length: count * 1.5 }, (_, i) => i));
  });

  test.each<[string, (queue: Queue) => unknown]>([
    ['iterated', (queue) => queue[Symbol.asyncIterator]()],
    ['collected', (queue) => queue.collect()],
    ['broken', (queue) => queue.break()],
  ])('that was %s has had its one consumer', async (_how, use) => {
    const queue = filled(1);
    expect(queue.isReadable()).toBe(true);
    void use(queue);
    expect(queue.isReadable()).toBe(false);
    expect(() => queue[Symbol.asyncIterator]()).toThrow(ReadableLockedError);
    await expect(queue.collect()).rejects.toMatchObject({ code: 'READABLE_LOCKED' });
    queue.break();
    queue.close();
  });
});

describe('breaking a readable', () => {
  test('tells a waiting reader once, then ends, and drops everything that still comes', async () => {
    const queue = filled();
    const collected = queue.collect();
    queue.break();
    queue.push(Ok(1));
    expect(await collected).toEqual([broken]);
  });

  test('discards what nobody has read', async () => {
    const queue = filled(1, 2);
    const iterator = queue[Symbol.asyncIterator]();
    await iterator.next();
    queue.close();
    queue.break();
    expect(await iterator.next()).toEqual({ done: false, value: broken });
    expect(await iterator.next()).toEqual(done);
  });

  test('of a readable read to its end is no error', async () => {
    const queue = filled(1);
    const iterator = queue[Symbol.asyncIterator]();
    await iterator.next();
    queue.close();
    queue.break();
    expect(await iterator.next()).toEqual(done);
  });

  test('by the iterator’s own return is no error for who asks later, and one for who had asked before', async () => {
    const queue = filled(1, 2);
    const iterator = queue[Symbol.asyncIterator]();
    await iterator.next();
    const waiting = filled()[Symbol.asyncIterator]();
    const asked = waiting.next();
    expect(await Promise.all([iterator.return(), waiting.return()])).toEqual([done, done]);
    expect([await iterator.next(), await asked, await waiting.next()]).toEqual([
      done,
      { done: false, value: broken },
      done,
    ]);
  });

  test('happens when a loop is left early, and is no error there', async () => {
    const onBreak = vi.fn();
    const queue: Queue = new ReadableQueue(undefined, onBreak);
    queue.push(Ok(1));
    queue.push(Ok(2));
    for await (const result of queue) {
      expect(result).toEqual(Ok(1));
      break;
    }
    queue.break();
    expect(onBreak).toHaveBeenCalledTimes(1);
  });

  test('is told to its call only while there is something to come', () => {
    const onBreak = vi.fn();
    const queue: Queue = new ReadableQueue(undefined, onBreak);
    queue.close();
    queue.break();
    expect(onBreak).not.toHaveBeenCalled();
  });
});

describe('values()', () => {
  test('yields payloads', async () => {
    const queue = filled(1, 2);
    queue.close();
    const read: number[] = [];
    for await (const value of values(queue)) read.push(value);
    expect(read).toEqual([1, 2]);
  });

  test('throws the error result as a CallError with everything it carries', async () => {
    const queue: Queue = new ReadableQueue();
    queue.push(Err({ code: 'FULL', message: 'no room', extras: { left: 0 } }));
    const error = await values(queue)
      .next()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CallError);
    expect(error).toMatchObject({ name: 'CallError', code: 'FULL', message: 'no room', extras: { left: 0 } });
    expect(queue.isReadable()).toBe(false);
  });

  test('breaks the readable when its loop is left', async () => {
    const onBreak = vi.fn();
    const queue: Queue = new ReadableQueue(undefined, onBreak);
    queue.push(Ok(1));
    for await (const _value of values(queue)) break;
    expect(onBreak).toHaveBeenCalledTimes(1);
  });
});
