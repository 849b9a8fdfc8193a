import { CallError, type Clock, type ErrorPayload, type Readable } from '../router/index.ts';
import type { TopicClient } from './attempt.ts';
import type { CollectionEvent } from './collection.ts';
import { UnusableLoadError } from './errors.ts';
import type { Position } from './position.ts';
import { type ValueOptions, watch } from './watch.ts';
import type { Watch } from './watchCore.ts';
import type { Loaded } from './watchModes.ts';

/** A client's service with the two procedures of a collection: `client.rooms`. */
export interface CollectionClient<V> {
  readonly snapshot: {
    subscribe(
      init: { keys?: string[] },
      options?: { signal?: AbortSignal | undefined },
    ): { resReadable: Readable<{ position: Position; entries: { key: string; value: V }[] }, ErrorPayload> };
  };
  readonly changes: TopicClient<CollectionEvent<V>>;
}

/** Options of {@link watchCollection}. */
export interface CollectionWatchOptions extends ValueOptions {
  /** Only these keys. */
  keys?: readonly string[] | undefined;
  clock?: Clock | undefined;
}

async function loadAll<V>(
  source: CollectionClient<V>,
  keys: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<Loaded<Map<string, V>>> {
  const value = new Map<string, V>();
  let position: Position | undefined;
  const { resReadable } = source.snapshot.subscribe(keys === undefined ? {} : { keys: [...keys] }, { signal });
  for await (const result of resReadable) {
    if (!result.ok) throw new CallError(result.payload);
    position = result.payload.position;
    for (const entry of result.payload.entries) value.set(entry.key, entry.value);
  }
  if (position === undefined) throw new UnusableLoadError('expected a snapshot of at least one page, got none');
  return { value, position };
}

/**
 * Watches a collection: a snapshot, and then every change. The map that is the value changes in place; after a gap there is
 * another one.
 */
export function watchCollection<V>(
  source: CollectionClient<V>,
  options: CollectionWatchOptions = {},
): Watch<ReadonlyMap<string, V>> {
  const { keys, ...rest } = options;
  return watch<CollectionEvent<V>, Map<string, V>>(source.changes, {
    ...rest,
    keys,
    load: ({ signal }) => loadAll(source, keys, signal),
    apply(entries, event) {
      if (event.type === 'set') entries.set(event.key, event.value);
      else entries.delete(event.key);
      return entries;
    },
  });
}
