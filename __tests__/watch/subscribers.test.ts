import { test } from 'vitest';
import { publishToMany } from './support/manySubscribers.ts';

test('five hundred subscribers of one topic get every event, in one encoding', async () => {
  await publishToMany(500, 5, 5);
}, 30_000);
