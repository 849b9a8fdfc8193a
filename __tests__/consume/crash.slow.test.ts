import { test } from 'vitest';
import { countMoments, crashAt } from './support/crashAt.ts';

test('a process killed at every moment there is, and one that goes on: every transactional effect happens once', async () => {
  const moments = await countMoments();
  for (let moment = 1; moment <= moments; moment++) await crashAt(moment);
}, 900_000);
