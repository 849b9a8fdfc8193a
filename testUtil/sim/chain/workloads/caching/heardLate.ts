import type { Clock, ErrorPayload, Readable } from '../../../../../router/index.ts';
import type { TopicClient } from '../../../../../watch/attempt.ts';
import type { TopicMessage } from '../../../../../watch/messages.ts';
import { pauseOf } from '../pauseOf.ts';

type Messages<E> = Readable<TopicMessage<E>, ErrorPayload>;

/**
 * A topic of which a process hears late what it has missed, while what it reads comes at once: so what it holds
 * may be old for a while, and whoever is behind it ahead of it, after it was restored from a backup.
 * @param mostMs between the first message of a subscription and the next
 */
export function heardLate<E>(client: TopicClient<E>, clock: Clock, mostMs: number): TopicClient<E> {
  return {
    subscribe(request) {
      const { resReadable } = client.subscribe(request);
      return { resReadable: late(resReadable, clock, mostMs) };
    },
  };
}

function late<E>(messages: Messages<E>, clock: Clock, mostMs: number): Messages<E> {
  const broken = new AbortController();
  return {
    collect: () => messages.collect(),
    isReadable: () => messages.isReadable(),
    break() {
      broken.abort();
      messages.break();
    },
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      let count = 0;
      return {
        return: () => iterator.return(),
        async next() {
          const next = await iterator.next();
          count += 1;
          if (count === 2) await pauseOf(clock, clock.random() * mostMs, broken.signal);
          return next;
        },
      };
    },
  };
}
