import { test } from 'vitest';
import { countMoments, crashAt } from './support/crashAt.ts';

const PARTS = 4;

test.each([1, 2, 3, 4])(
  'a process killed at every moment there is, and one that goes on: every transactional effect happens once (part %i)',
  async (part) => {
    const moments = await countMoments();
    // Two at a time: most of it is waiting for processes to start.
    const lanes = [part, part + PARTS].map(async (first) => {
      for (let moment = first; moment <= moments; moment += 2 * PARTS) await crashAt(moment);
    });
    await Promise.all(lanes);
  },
  600_000,
);
