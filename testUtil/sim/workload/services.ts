import { Type } from '@sinclair/typebox';
import { Procedure } from '../../../router/procedures.ts';
import { Ok } from '../../../router/result.ts';
import { createServiceSchema } from '../../../router/services.ts';
import type { Clock } from '../../../transport/clock.ts';

/** What the handlers report: each is one call's view. */
export interface CallLog {
  /** A handler begins. */
  began(sessionId: string, call: number): void;
  /** A value of the request half came, the one with this number expected. */
  got(sessionId: string, call: number, expected: number, value: number): void;
  /** False once nothing should take its time any more. */
  isBusy(): boolean;
}

/** Waits, but not beyond the end of the call. */
function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const stop = clock.after(ms, () => {
      signal.removeEventListener('abort', end);
      resolve();
    });
    const end = (): void => {
      stop();
      resolve();
    };
    signal.addEventListener('abort', end, { once: true });
  });
}

const Call = Type.Object({ call: Type.Integer() });
const Numbered = Type.Object({ i: Type.Integer() });

/** One procedure of each kind, all of them over numbered values. */
export function numberServices(log: CallLog) {
  const numbers = createServiceSchema().define({
    double: Procedure.rpc({
      requestInit: Type.Object({ call: Type.Integer(), n: Type.Number(), waitMs: Type.Number() }),
      responseData: Type.Object({ n: Type.Number() }),
      async handler({ ctx, reqInit: { call, n, waitMs } }) {
        log.began(ctx.sessionId, call);
        if (waitMs > 0 && log.isBusy()) await sleep(ctx.clock, waitMs, ctx.signal);
        return Ok({ n: 2 * n });
      },
    }),
    sum: Procedure.upload({
      requestInit: Call,
      requestData: Numbered,
      responseData: Type.Object({ count: Type.Integer() }),
      async handler({ ctx, reqInit: { call }, reqReadable }) {
        log.began(ctx.sessionId, call);
        let count = 0;
        for await (const result of reqReadable) {
          if (!result.ok) return ctx.cancel('the upload ended early');
          log.got(ctx.sessionId, call, count, result.payload.i);
          count += 1;
        }
        return Ok({ count });
      },
    }),
    count: Procedure.subscription({
      requestInit: Type.Object({ call: Type.Integer(), to: Type.Integer(), gapMs: Type.Number() }),
      responseData: Numbered,
      async handler({ ctx, reqInit: { call, to, gapMs }, resWritable }) {
        log.began(ctx.sessionId, call);
        for (let i = 0; i < to && !ctx.signal.aborted; i++) {
          resWritable.write(Ok({ i }));
          if (log.isBusy()) await sleep(ctx.clock, gapMs, ctx.signal);
        }
        resWritable.close();
      },
    }),
    echo: Procedure.stream({
      requestInit: Call,
      requestData: Numbered,
      responseData: Numbered,
      async handler({ ctx, reqInit: { call }, reqReadable, resWritable }) {
        log.began(ctx.sessionId, call);
        let count = 0;
        for await (const result of reqReadable) {
          if (!result.ok) break;
          log.got(ctx.sessionId, call, count, result.payload.i);
          count += 1;
          resWritable.write(result);
        }
        resWritable.close();
      },
    }),
  });
  return { numbers };
}

/** Their type. */
export type NumberServices = ReturnType<typeof numberServices>;
