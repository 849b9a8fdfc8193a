import { describe, expect, test } from 'vitest';
import { CallEndedError, WriteAfterCloseError } from '../router/errors.ts';
import type { SharedValue } from '../router/sharedValue.ts';
import { WritableHalf, type WriteTarget } from '../router/writable.ts';
import { contentBytes, type WriteSource } from '../router/writeAll.ts';
import { bytesKeptBy } from './attacks/support/memory.ts';
import { FakePort } from './support/fakePort.ts';

class Target implements WriteTarget<unknown> {
  readonly port = new FakePort();
  readonly streamId = 's1';
  readonly log: unknown[] = [];
  writeValue(value: unknown): void {
    this.port.send({ streamId: 's1', controlFlags: 0, payload: value });
    this.log.push(value);
  }
  writeShared({ value }: SharedValue): void {
    this.writeValue(value);
  }
  closeWith(value: unknown): void {
    if (value !== undefined) this.writeValue(value);
    this.log.push('close');
  }
}

function open(): { target: Target; writable: WritableHalf<unknown> } {
  const target = new Target();
  return { target, writable: new WritableHalf<unknown>(target) };
}

describe('a writable', () => {
  test('says after each value whether the session has room for more', () => {
    const { target, writable } = open();
    expect(writable.write(1)).toBe(true);
    target.port.isReady = false;
    expect(writable.write(2)).toBe(false);
    expect(target.log).toEqual([1, 2]);
  });

  test('closes once, with a last value if it is given one', () => {
    const { target, writable } = open();
    writable.close('last');
    writable.close();
    expect(target.log).toEqual(['last', 'close']);
    expect(writable.isWritable()).toBe(false);
    expect(() => writable.write(1)).toThrow(WriteAfterCloseError);
    expect(() => writable.close(1)).toThrow(WriteAfterCloseError);
  });

  test('stays open if its last value cannot be sent', () => {
    const { target, writable } = open();
    target.port.refusal = new Error('cannot');
    expect(() => writable.close(1)).toThrow('cannot');
    expect(writable.isWritable()).toBe(true);
    writable.close();
    expect(target.log).toEqual(['close']);
  });

  test('drops what is written after the call has ended', () => {
    const { target, writable } = open();
    writable.end('cancelled');
    expect(writable.isWritable()).toBe(false);
    expect(writable.write(1)).toBe(false);
    writable.close();
    expect(target.log).toEqual([]);
    expect(() => writable.write(1)).toThrow(WriteAfterCloseError);
  });

  test('of a call that never began is ended from the start', async () => {
    const writable = new WritableHalf<unknown>(undefined, 'nothing of it was sent');
    expect(writable.isWritable()).toBe(false);
    expect(writable.write(1)).toBe(false);
    await expect(writable.waitForWriteReady()).rejects.toThrow('nothing of it was sent');
  });
});

describe('waiting for room', () => {
  test('is over at once where there is room', async () => {
    await open().writable.waitForWriteReady();
  });

  test('is one wait for all who wait, and can be repeated', async () => {
    const { target, writable } = open();
    for (let round = 0; round < 2; round += 1) {
      target.port.isReady = false;
      const waits = [writable.waitForWriteReady(), writable.waitForWriteReady()];
      expect(target.port.waiters).toBe(1);
      target.port.becomeReady();
      await Promise.all(waits);
    }
  });

  test('fails by name when the call ends, and leaves nothing behind', async () => {
    const { target, writable } = open();
    target.port.isReady = false;
    const wait = writable.waitForWriteReady();
    writable.end('the peer left');
    await expect(wait).rejects.toThrow(CallEndedError);
    await expect(writable.waitForWriteReady()).rejects.toMatchObject({ code: 'CALL_ENDED' });
    expect(target.port.waiters).toBe(0);
  });

  test('does not bring the process down where nobody listens to its failure', async () => {
    const { target, writable } = open();
    target.port.isReady = false;
    void writable.waitForWriteReady();
    writable.end('the peer left');
    void writable.waitForWriteReady();
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('writeAll', () => {
  async function* asynchronous(): AsyncGenerator<number> {
    yield 1;
    yield 2;
  }
  const streamOf = (...items: number[]) => {
    const stream = new ReadableStream<number>({
      start(controller) {
        for (const item of items) controller.enqueue(item);
        controller.close();
      },
    });
    return stream;
  };
  /** As Safari's: no async iteration. */
  const bareStream = (...items: number[]): ReadableStream<number> => {
    const stream = streamOf(...items);
    return { getReader: () => stream.getReader() } as ReadableStream<number>; // all that is used of it
  };

  test.each([
    ['an array', [1, 2]],
    ['a set', new Set([1, 2])],
    ['an async iterable', asynchronous()],
    ['a stream', streamOf(1, 2)],
    ['a stream that is not iterable', bareStream(1, 2)],
  ])('writes all of %s and does not close', async (_what, source) => {
    const { target, writable } = open();
    await writable.writeAll(source);
    expect(target.log).toEqual([1, 2]);
    expect(writable.isWritable()).toBe(true);
  });

  test('cuts bytes of a stream, which may come by megabytes, and nothing else', async () => {
    const { target, writable } = open();
    const large = new Uint8Array(150_000).map((_, n) => n % 251);
    const stream = new ReadableStream({
      start(controller) {
        for (const value of [large, new Uint8Array([7]), new Uint8Array(0), 'text']) controller.enqueue(value);
        controller.close();
      },
    });
    await writable.writeAll(stream);
    const bytes = target.log.filter((value) => value instanceof Uint8Array);
    expect(bytes.map(({ length }) => length)).toEqual([65_536, 65_536, 18_928, 1, 0]);
    expect(Buffer.concat(bytes.slice(0, 3)).equals(large)).toBe(true);
    expect(target.log.at(-1)).toBe('text');
    await writable.writeAll([large]);
    expect(target.log.at(-1)).toBe(large);
  });

  test('leaves nothing behind on a writable that is used again and again', async () => {
    const { writable } = open();
    await writable.writeAll([]);
    const kept = await bytesKeptBy(async () => {
      for (let n = 0; n < 20_000; n++) await writable.writeAll([]);
      return writable;
    });
    expect(kept / 20_000).toBeLessThan(20);
  });

  test('waits whenever the session has no room', async () => {
    const { target, writable } = open();
    target.port.isReady = false;
    let isDone = false;
    const all = writable.writeAll([1, 2]).then(() => {
      isDone = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(target.log).toEqual([1]);
    target.port.becomeReady();
    await all;
    expect(isDone).toBe(true);
    expect(target.log).toEqual([1, 2]);
  });

  test('fails by name when the call ends, and releases its source', async () => {
    const { target, writable } = open();
    let released = false;
    function* forever() {
      try {
        for (let i = 0; ; i += 1) yield i;
      } finally {
        released = true;
      }
    }
    target.port.isReady = false;
    const all = writable.writeAll(forever());
    await new Promise((resolve) => setImmediate(resolve));
    writable.end('cancelled');
    await expect(all).rejects.toThrow(CallEndedError);
    expect(released).toBe(true);
  });

  test.each<[string, (onRelease: () => void) => WriteSource<number>]>([
    [
      'a stream',
      (onRelease) =>
        new ReadableStream<number>({ start: (controller) => controller.enqueue(1), cancel: () => onRelease() }),
    ],
    [
      'an iterator',
      (onRelease) => {
        const values = [1];
        const next = () => {
          const value = values.pop();
          if (value === undefined) return new Promise<never>(() => undefined);
          return Promise.resolve({ done: false as const, value });
        };
        return {
          [Symbol.asyncIterator]: () => ({
            next,
            return: () => {
              onRelease();
              return Promise.resolve({ done: true as const, value: undefined });
            },
          }),
        };
      },
    ],
  ])('fails by name when the call ends, though its source, %s, says nothing', async (_what, sourceOf) => {
    const { target, writable } = open();
    let released = 0;
    const all = writable.writeAll(sourceOf(() => (released += 1)));
    await new Promise((resolve) => setImmediate(resolve));
    expect(target.log).toEqual([1]);
    writable.end('cancelled');
    await expect(all).rejects.toThrow(new CallEndedError('cancelled'));
    expect(released).toBe(1);
  });

  test('fails at once on a writable that has ended, though its source never says anything', async () => {
    const { writable } = open();
    writable.end('cancelled');
    await expect(writable.writeAll(new ReadableStream())).rejects.toThrow(CallEndedError);
  });

  test('comes to its end on a writable that has ended, however long its source is', async () => {
    const { writable } = open();
    writable.end('cancelled');
    function* forever() {
      for (;;) yield 1;
    }
    await expect(writable.writeAll(forever())).rejects.toThrow(CallEndedError);
  });

  test('throws what its source throws and leaves the writable open', async () => {
    const { writable } = open();
    function* failing() {
      yield 1;
      throw new Error('disk');
    }
    await expect(writable.writeAll(failing())).rejects.toThrow('disk');
    expect(writable.isWritable()).toBe(true);
  });

  test('cancels a stream that it cannot finish', async () => {
    const { writable } = open();
    writable.end('cancelled');
    const cancelled: unknown[] = [];
    const stream = new ReadableStream<number>({
      pull: (controller) => controller.enqueue(1),
      cancel: (reason) => void cancelled.push(reason),
    });
    const bare = { getReader: () => stream.getReader() } as ReadableStream<number>;
    await expect(writable.writeAll(bare)).rejects.toThrow(CallEndedError);
    expect(cancelled).toHaveLength(1);
  });

  test('reports content that was confirmed, and nothing that was not', async () => {
    const { target, writable } = open();
    const reports: number[] = [];
    await writable.writeAll([new Uint8Array(10), new Uint8Array(20)], { onConfirmed: (bytes) => reports.push(bytes) });
    expect(reports).toEqual([]);
    expect(target.port.waiters).toBe(1);
    target.port.confirm();
    expect(reports).toEqual([10]);
    target.port.confirm();
    expect(reports).toEqual([10, 30]);
    expect(target.port.waiters).toBe(0);
  });

  test('asks for confirmations one at a time, also for values without content', async () => {
    const { target, writable } = open();
    await writable.writeAll([{}, {}, {}], { onConfirmed: () => undefined });
    expect(target.port.waiters).toBe(1);
  });

  test('reports nothing after the end of the call', async () => {
    const { target, writable } = open();
    const reports: number[] = [];
    await writable.writeAll(['abc'], { onConfirmed: (bytes) => reports.push(bytes) });
    writable.end('cancelled');
    expect(target.port.waiters).toBe(0);
    target.port.confirm();
    expect(reports).toEqual([]);
  });

  test('fails with what onConfirmed throws, and the session never hears of it', async () => {
    const { target, writable } = open();
    async function* source() {
      yield 'a';
      target.port.confirm();
      yield 'b';
    }
    const options = {
      onConfirmed: () => {
        throw new Error('mine');
      },
    };
    await expect(writable.writeAll(source(), options)).rejects.toThrow('mine');
  });

  test('fails with what an asynchronous onConfirmed rejects with', async () => {
    const { target, writable } = open();
    async function* source() {
      yield 'a';
      target.port.confirm();
      await new Promise((resolve) => setImmediate(resolve));
      yield 'b';
    }
    const onConfirmed = async (): Promise<void> => {
      throw new Error('mine');
    };
    await expect(writable.writeAll(source(), { onConfirmed })).rejects.toThrow('mine');
  });

  test.each<[unknown, number]>([
    [new Uint8Array(7), 7],
    [new DataView(new ArrayBuffer(9)), 9],
    ['abc', 3],
    ['é', 2],
    ['€', 3],
    ['🇧🇪', 8],
    [3, 8],
    [3n, 8],
    [true, 1],
    [null, 0],
    [undefined, 0],
    [{ chunk: new Uint8Array(5), name: 'ab', list: [1, 'x'] }, 16],
  ])('counts the content of %o as %i bytes', (value, bytes) => {
    expect(contentBytes(value)).toBe(bytes);
  });
});
