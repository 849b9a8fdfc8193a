import { Type } from '@sinclair/typebox';
import { Procedure } from '../router/procedures.ts';
import { Ok } from '../router/result.ts';
import { createServiceSchema } from '../router/services.ts';
import { Sequence } from './sequence.ts';

/** About what a line of a chat is. */
export const TEXT = 'a hundred characters of text, '.repeat(4).slice(0, 100);

/** What the server has of one client's open stream. */
export interface Line {
  readonly received: Sequence;
  /** Sends the next number. */
  write(): void;
}

/** By client id: every client has one stream. */
export const lines = new Map<string, Line>();

const Service = createServiceSchema();
const Numbered = Type.Object({ n: Type.Integer(), text: Type.String() });

/** Numbers both ways, for as long as a session lives. */
export const load = Service.define({
  numbers: Procedure.stream({
    requestInit: Type.Object({}),
    requestData: Numbered,
    responseData: Numbered,
    async handler({ ctx, reqReadable, resWritable }) {
      let sent = 0;
      const line: Line = {
        received: new Sequence(),
        write: () => void resWritable.write(Ok({ n: sent++, text: TEXT })),
      };
      lines.set(ctx.from, line);
      for await (const item of reqReadable) {
        if (!item.ok) break;
        line.received.take(item.payload.n);
      }
    },
  }),
  echo: Procedure.stream({
    requestInit: Type.Object({}),
    requestData: Numbered,
    responseData: Numbered,
    async handler({ ctx, reqReadable, resWritable }) {
      const received = new Sequence();
      lines.set(ctx.from, { received, write: () => undefined });
      for await (const item of reqReadable) {
        if (!item.ok) break;
        received.take(item.payload.n);
        resWritable.write(Ok(item.payload));
      }
    },
  }),
});

/** The services of the server, for its clients' types. */
export type Services = { load: typeof load };
