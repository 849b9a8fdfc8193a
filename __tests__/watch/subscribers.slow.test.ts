import { expect, test } from 'vitest';
import { publishToMany } from './support/manySubscribers.ts';

test('ten thousand subscribers of one topic get every event, in one encoding', async () => {
  expect(await publishToMany(10_000, 20, 10)).toBeLessThan(2_000);
}, 120_000);
