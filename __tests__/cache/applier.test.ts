import { expect, test } from 'vitest';
import { Applier } from '../../cache/applier.ts';
import { Line } from '../../cache/line.ts';
import type { CacheEvent } from '../../cache/messages.ts';
import { createMirror } from '../../watch/mirror.ts';
import { ReachedWaiters } from '../../watch/reached.ts';
import { at, contentsOn } from './support/contents.ts';

const heard = (...offsets: number[]) => offsets.map((offset) => ({ offset, event: { key: `key ${offset}` } }));

function appliedTo(store = new Map<string, number>()) {
  const { contents, clock } = contentsOn(store);
  const waiters = new ReachedWaiters(clock);
  const line = new Line('connecting');
  const applier = new Applier(contents, waiters, line, clock, () => undefined);
  return { applier, store, waiters, line, clock, mirror: applier.relayTo(createMirror<CacheEvent>({ clock })) };
}

test('events out of order are dropped for, and not passed on: whoever follows starts anew, and nobody waits for ever', async () => {
  const { applier, store, waiters, mirror, clock } = appliedTo();
  applier.onReady('first', at(0), undefined);
  applier.onEvents(heard(1), at(1));
  store.set('key 3', 3).set('key 4', 4);
  const reached = waiters.wait(at(5));
  expect(() => applier.onEvents(heard(4, 3), at(5))).toThrow('expected a position after 4');
  expect([store.size, mirror.head()]).toEqual([0, at(1)]);
  // What follows is another subscription, since the position that was applied.
  applier.onReady('recovered', at(5), undefined);
  await reached;
  expect(mirror.head()).toEqual(at(5));
  expect(mirror.read(at(1), 10).kind).toBe('gap');
  expect(clock.pendingTimers).toBe(0);
});

test('whoever hears of an event from here finds its value dropped', () => {
  const { applier, store, mirror } = appliedTo();
  applier.onReady('first', at(0), undefined);
  store.set('key 1', 1);
  const found: (number | undefined)[] = [];
  mirror.onAppend(() => found.push(store.get('key 1')));
  applier.onEvents(heard(1), at(1));
  store.set('key 1', 2);
  applier.onReset(at(9));
  expect(found).toEqual([undefined, undefined]);
});

test('what was missed when a subscription began is waited for no more once it was reset, or lost', () => {
  for (const end of ['reset', 'lost'] as const) {
    const { applier, line } = appliedTo();
    applier.onReady('first', at(0), undefined);
    applier.onLost();
    applier.onReady('recovered', at(0), at(5));
    expect(line.state).toBe('lost'); // what is held may be older than what was confirmed meanwhile
    if (end === 'reset') applier.onReset(at(2));
    else {
      applier.onLost();
      applier.onReady('recovered', at(2), undefined);
    }
    expect(line.state).toBe('live');
  }
  const { applier, line } = appliedTo();
  applier.onReady('recovered', at(0), at(2));
  applier.onEvents(heard(1), at(1));
  expect(line.state).toBe('connecting');
  applier.onEvents(heard(2), at(2));
  expect(line.state).toBe('live');
});

test.each<[string, unknown]>([
  ['too long', { key: 'k'.repeat(257) }],
  ['a number', { key: 5 }],
  ['half of a surrogate pair', { key: 'half \ud83d' }],
  ['missing', {}],
  ['of no event', undefined],
])('a key that is %s names nothing: everything is dropped, here and at the hops behind', (_what, event) => {
  const { applier, store, mirror } = appliedTo();
  applier.onReady('first', at(0), undefined);
  store.set('key 1', 1).set('key 2', 2);
  applier.onEvents([...heard(1), { offset: 2, event: event as CacheEvent }], at(2));
  expect([store.size, mirror.head(), mirror.read(at(0), 9).kind]).toEqual([0, at(2), 'gap']);
  applier.onEvents(heard(3), at(3));
  expect(mirror.read(at(2), 9)).toMatchObject({ kind: 'events', events: [{ event: { key: 'key 3' } }] });
});
