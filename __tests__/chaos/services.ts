import { Type } from '@sinclair/typebox';
import { Procedure } from '../../router/procedures.ts';
import { Ok } from '../../router/result.ts';
import { createServiceSchema } from '../../router/services.ts';
import { Numbers, report } from './numbers.ts';

const faults: string[] = [];
let sent = 0;
let received = 0;
let sessions = 0;

/** Tells how far this process has come. */
export function reportProgress(): void {
  report({ type: 'progress', sent, received, sessions, faults: faults.splice(0) });
}

const Service = createServiceSchema();

/** A stream of numbers both ways, for as long as its session lives; every stream is a session's only one. */
export const chaos = Service.define({
  numbers: Procedure.stream({
    requestInit: Type.Object({}),
    requestData: Type.Object({ n: Type.Integer(), padding: Type.String() }),
    responseData: Type.Object({ n: Type.Integer(), padding: Type.String() }),
    async handler({ ctx, reqReadable, resWritable }) {
      sessions += 1;
      const numbers = new Numbers(`${ctx.from} ${ctx.sessionId} → server`, faults);
      let n = 0;
      const timer = setInterval(() => {
        if (!resWritable.isWritable()) return;
        resWritable.write(Ok({ n, padding: 'x'.repeat((n * 37) % 2_000) }));
        n += 1;
        sent += 1;
      }, 10);
      ctx.deferCleanup(() => clearInterval(timer));
      for await (const item of reqReadable) {
        if (!item.ok) break;
        numbers.take(item.payload.n);
        received += 1;
      }
    },
  }),
});
