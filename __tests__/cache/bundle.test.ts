import { expect, test } from 'vitest';
import { isSchemas, leftInPage } from '../support/leftInPage.ts';

test('a page that caches gets no TypeBox, and nothing of what serves', async () => {
  const files = await leftInPage('relayCache, CacheUnconfirmedError', 'holdfast/cache');
  expect(files).toContain('dist/cache/applier.js');
  expect(files.filter((path) => isSchemas(path) || /topic|mirror|sqlite|[pP]rocedures/.test(path))).toEqual([]);
  expect((await leftInPage('cacheProcedures', 'holdfast/cache')).some(isSchemas)).toBe(true);
});
