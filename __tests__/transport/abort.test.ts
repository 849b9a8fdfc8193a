import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { onceAborted } from '../../transport/abort.ts';

test('whoever listens to a signal is told once, and who has withdrawn is not', () => {
  const controller = new AbortController();
  const told: string[] = [];
  const withdrawFirst = onceAborted(controller.signal, () => told.push('first'));
  onceAborted(controller.signal, () => {
    told.push('second');
    withdrawThird();
  });
  const withdrawThird = onceAborted(controller.signal, () => told.push('third'));
  withdrawFirst();
  withdrawFirst();
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
  controller.abort();
  expect(told).toEqual(['second']);
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
});

test('who listens after an event is told of the next, whoever withdraws what was told before', () => {
  const { signal } = new AbortController();
  const told: string[] = [];
  const withdrawFirst = onceAborted(signal, () => told.push('first'));
  // An application's own: of a controller there is one.
  signal.dispatchEvent(new Event('abort'));
  onceAborted(signal, () => told.push('second'));
  withdrawFirst();
  signal.dispatchEvent(new Event('abort'));
  expect(told).toEqual(['first', 'second']);
});
