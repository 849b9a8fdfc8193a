import type { TopicMessage, TopicRequest } from '../../../watch/messages.ts';
import { type DocEvent, type ServedDocs, serveDocs } from './served.ts';

export type Heard = TopicMessage<DocEvent> | { code: string };

/** Subscribes and writes down what comes. */
export function subscribe(served: ServedDocs, init: TopicRequest = {}, client = served.client().client) {
  const { resReadable } = client.docs.changes.subscribe(init);
  const heard: Heard[] = [];
  const done = (async () => {
    for await (const result of resReadable) heard.push(result.ok ? result.payload : { code: result.payload.code });
  })();
  const numbers = () =>
    heard.flatMap((message) => ('events' in message ? message.events.map(({ event }) => event.n) : []));
  return { heard, numbers, done, resReadable };
}

/** Serves documents for the time of a test. */
export async function using(
  options: Parameters<typeof serveDocs>[0],
  run: (served: ServedDocs) => Promise<void>,
): Promise<void> {
  const served = await serveDocs(options);
  await run(served);
  await served.stop();
  await served.h[Symbol.asyncDispose]();
}
