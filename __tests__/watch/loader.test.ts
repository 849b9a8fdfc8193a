import { expect, test } from 'vitest';
import { type LoadContext, Loader } from '../../watch/loader.ts';
import { quietClock } from './support/clock.ts';

function setup() {
  const clock = quietClock();
  const made: { context: LoadContext; resolve(value: number): void; reject(error: Error): void }[] = [];
  const heard: string[] = [];
  const load = (context: LoadContext) =>
    new Promise<number>((resolve, reject) => made.push({ context, resolve, reject }));
  const loader = new Loader<number>(load, 60_000, clock, {
    onLoading: () => heard.push('loading'),
    onLoaded: (value) => heard.push(`loaded ${value}`),
    onLoadFailed: (error) => heard.push(String(error)),
  });
  loader.release();
  const fail = async () => {
    made.at(-1)?.reject(new Error('no'));
    await clock.advance(0);
  };
  return { clock, made, heard, loader, fail };
}

test('what was missed is loaded at once, though the last load failed and another is due later', async () => {
  const { made, loader, fail } = setup();
  loader.want('first');
  await fail();
  expect(made).toHaveLength(1);
  loader.restart('reset');
  expect(made.map(({ context }) => context.reason)).toEqual(['first', 'reset']);
  loader.stop();
});

test('a success ends a row of failures: the wait after the next one is a first', async () => {
  const { clock, made, loader, fail } = setup();
  loader.want('first');
  for (let n = 0; n < 4; n++) {
    await fail();
    await clock.advance(15_000);
  }
  made.at(-1)?.resolve(1);
  await clock.advance(0);
  loader.want('event');
  const { length } = made;
  await fail();
  await clock.advance(200);
  expect(made).toHaveLength(length + 1);
  loader.stop();
});

test('one that is stopped while it loads leaves nothing, and nobody hears of the load', async () => {
  const { clock, made, heard, loader } = setup();
  loader.want('first');
  loader.stop();
  expect([clock.pendingTimers, made[0]?.context.signal.aborted]).toEqual([0, true]);
  made[0]?.resolve(1);
  await clock.advance(0);
  expect(heard).toEqual(['loading']);
});
