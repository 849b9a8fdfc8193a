import { expect, test } from 'vitest';
import { isSchemas, leftInPage } from '../support/leftInPage.ts';

test('a page that watches gets no TypeBox, and nothing of topics', async () => {
  const files = await leftInPage('watch, watchKeys, watchCollection', 'holdfast/watch');
  expect(files).toContain('dist/watch/follower.js');
  expect(files.filter((path) => isSchemas(path) || /topic|[sS]tore|sqlite/.test(path))).toEqual([]);
  expect((await leftInPage('topicProcedure', 'holdfast/watch')).some(isSchemas)).toBe(true);
});
