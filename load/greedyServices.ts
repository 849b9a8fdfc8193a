import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { Type } from '@sinclair/typebox';
import { Procedure } from '../router/procedures.ts';
import { Ok } from '../router/result.ts';
import { createServiceSchema } from '../router/services.ts';
import { TEXT } from './services.ts';

/** Written in one turn by whoever writes much, so that others have theirs in between. */
const AT_ONCE = 100;
/** A writer that does not heed its reader goes on for ever, so much at a time. */
const PAUSE_MS = 100;

/** What is written to whoever asked to be answered at length. */
const LONG = TEXT.repeat(200);

const Service = createServiceSchema();
const Item = Type.Object({ n: Type.Integer(), text: Type.String() });

/** Times a writer was refused, because what it had written was not read. */
export const refusals = { count: 0 };

/** What a server offers to those who take and do not read. */
export const greedy = Service.define({
  /** Written as fast as it is read. */
  heeding: Procedure.subscription({
    requestInit: Type.Object({}),
    responseData: Item,
    async handler({ ctx, resWritable }) {
      for (let n = 0; !ctx.signal.aborted; n++) {
        if (!resWritable.write(Ok({ n, text: TEXT }))) await resWritable.waitForWriteReady().catch(() => undefined);
        if (n % AT_ONCE === 0) await nextTurn();
      }
    },
  }),
  /** Written whether it is read or not: much at first, then on and on, until it is refused. */
  heedless: Procedure.subscription({
    requestInit: Type.Object({ items: Type.Integer() }),
    responseData: Item,
    async handler({ ctx, reqInit: { items }, resWritable }) {
      ctx.signal.addEventListener('abort', () => {
        if (!resWritable.isWritable()) refusals.count += 1;
      });
      for (let n = 0; resWritable.isWritable(); n++) {
        resWritable.write(Ok({ n, text: TEXT }));
        if (n >= items) await pause(PAUSE_MS);
        else if (n % AT_ONCE === 0) await nextTurn();
      }
    },
  }),
  /** A long answer to a short question. */
  long: Procedure.rpc({
    requestInit: Type.Object({}),
    responseData: Type.Object({ text: Type.String() }),
    handler: () => Ok({ text: LONG }),
  }),
  echo: Procedure.rpc({
    requestInit: Item,
    responseData: Item,
    handler: ({ reqInit }) => Ok(reqInit),
  }),
});

/** The services of the server, for its clients' types. */
export type GreedyServices = { greedy: typeof greedy };
