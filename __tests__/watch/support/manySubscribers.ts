import { expect } from 'vitest';
import { createClient } from '../../../router/client.ts';
import { allExtensions } from '../../support/extensions.ts';
import { type DocServices, serveDocs } from './served.ts';

/**
 * One topic, many subscribers over several sessions: every one gets every event, and one event costs one encoding.
 * @returns milliseconds for one event to be published and handed to all
 */
export async function publishToMany(subscribers: number, sessions: number, events: number): Promise<number> {
  const served = await serveDocs();
  const got = new Uint32Array(subscribers);
  const sums = new Float64Array(subscribers);
  for (let s = 0; s < sessions; s++) {
    const client = createClient<DocServices>(served.h.client({ extensions: allExtensions }));
    for (let i = s; i < subscribers; i += sessions) {
      const { resReadable } = client.docs.changes.subscribe(i % 4 === 0 ? { keys: ['a'] } : {});
      void (async () => {
        for await (const result of resReadable) {
          if (!result.ok || result.payload.type !== 'events') continue;
          for (const { event } of result.payload.events) {
            got[i] = (got[i] ?? 0) + 1;
            sums[i] = (sums[i] ?? 0) * 3 + event.n;
          }
        }
      })();
    }
  }
  await served.h.settled();
  expect(served.server.openCalls).toBe(subscribers);
  let reads = 0;
  const startedAt = performance.now();
  for (let n = 1; n <= events; n++) {
    served.topic.publish({
      key: 'a',
      get n() {
        reads += 1;
        return n;
      },
    });
    await served.h.settled();
  }
  const tookMs = performance.now() - startedAt;
  expect(new Set(got)).toEqual(new Set([events]));
  expect(new Set(sums).size).toBe(1);
  // Checked, weighed and encoded some times, whoever follows: not once for each of them.
  expect(reads).toBeLessThan(events * 20);
  await served.stop();
  await served.h[Symbol.asyncDispose]();
  return tookMs / events;
}
