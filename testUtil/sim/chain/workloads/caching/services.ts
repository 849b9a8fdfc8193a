import { Type } from '@sinclair/typebox';
import type { Cache } from '../../../../../cache/cache.ts';
import { cacheProcedures } from '../../../../../cache/cacheProcedures.ts';
import { CallError } from '../../../../../router/errors.ts';
import { Procedure } from '../../../../../router/procedures.ts';
import { Ok } from '../../../../../router/result.ts';
import { createServiceSchema } from '../../../../../router/services.ts';
import type { Cached } from './cacheUser.ts';

/** What a hop does besides caching: it writes, or has somebody write. */
export interface CacheHopServices {
  readonly cache: Cache<Cached>;
  write(key: string, timeoutMs: number | undefined): Promise<number | undefined>;
  /** Told of every request to invalidate. */
  onInvalidate(key: string): void;
}

/** The services of a hop. */
export function cacheServices({ cache, write, onInvalidate }: CacheHopServices) {
  const docs = createServiceSchema().define({
    ...cacheProcedures(cache, {
      value: Type.Object({ version: Type.Integer() }),
      authorize: (question) => {
        if (question.action === 'invalidate') onInvalidate(question.key);
        return true;
      },
    }),
    write: Procedure.rpc({
      requestInit: Type.Object({ key: Type.String() }),
      responseData: Type.Object({ version: Type.Integer() }),
      async handler({ ctx, reqInit: { key } }) {
        const version = await write(key, ctx.callOptions.timeoutMs);
        return version === undefined ? ctx.cancel('nobody could be asked') : Ok({ version });
      },
    }),
  });
  return { docs };
}

export type CacheServices = ReturnType<typeof cacheServices>;

/** What a failed read at the owner is: everybody on the way passes it on. */
export const readFailed = (): CallError => new CallError({ code: 'CANCEL', message: 'the read failed' });
