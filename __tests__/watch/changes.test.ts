import { expect, test } from 'vitest';
import { ValueIterators } from '../../watch/changes.ts';
import { WatchClosedError } from '../../watch/errors.ts';

const done = { done: true, value: undefined };

test('who leaves while it waits for a value is done, and so is each of its calls', async () => {
  const values = new ValueIterators<number>();
  const [leaving, staying] = [values.iterate(), values.iterate()];
  const [first, second, other] = [leaving.next(), leaving.next(), staying.next()];
  expect(await leaving.return?.()).toEqual(done);
  expect(await Promise.all([first, second])).toEqual([done, done]);
  expect(await leaving.next()).toEqual(done);
  values.next(1);
  expect(await other).toEqual({ done: false, value: 1 });
});

test('who leaves after the end, or twice, is done', async () => {
  const values = new ValueIterators<number>();
  const iterator = values.iterate();
  const waiting = iterator.next();
  values.end(new WatchClosedError('iterating'));
  await expect(waiting).rejects.toThrow(WatchClosedError);
  expect(await iterator.return?.()).toEqual(done);
  expect(await iterator.return?.()).toEqual(done);
});
