import { expect, test } from 'vitest';
import { Trigger } from '../../consume/trigger.ts';
import { settled } from './support/stage.ts';

test('whenever it is fired one run follows, and no two are under way', async () => {
  const ends: (() => void)[] = [];
  let underWay = 0;
  let most = 0;
  const trigger = new Trigger(async () => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise<void>((resolve) => ends.push(resolve));
    underWay -= 1;
    return ends.length;
  });
  const fired = [trigger.fire(), trigger.fire(), trigger.fire()];
  await settled();
  ends[0]?.();
  await settled();
  // The second run is under way, for the second and the third.
  fired.push(trigger.fire());
  await settled();
  expect([ends.length, most]).toEqual([2, 1]);
  ends[1]?.();
  await settled();
  expect([ends.length, most]).toEqual([3, 1]);
  ends[2]?.();
  await trigger.idle();
  expect(await Promise.all(fired)).toEqual([1, 2, 2, 3]);
  expect(underWay).toBe(0);
});
