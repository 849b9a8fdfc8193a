import type { Position } from '../../../watch/position.ts';
import type { Doc } from './chain.ts';

/** A store that outlives its process, as far as anybody can tell. */
export function lastingStore(from?: { values: Map<string, Doc>; saved: Position | undefined }) {
  const values = new Map(from?.values);
  let saved = from?.saved;
  return {
    store: {
      get: (key: string) => values.get(key),
      set: (key: string, value: Doc) => values.set(key, value),
      delete: (key: string) => values.delete(key),
      clear: () => values.clear(),
      position: {
        load: () => saved,
        save: (position: Position) => {
          saved = position;
        },
      },
    },
    copy: () => ({ values: new Map(values), saved }),
  };
}
