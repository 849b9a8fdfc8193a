import { Kind, type Static, type TSchema, type TUnsafe, Type, TypeRegistry } from '@sinclair/typebox';
import { broadcast, createServiceSchema, Ok, Procedure, type Result, type Writable } from 'holdfast';
import { type Small, writeAs } from '../application.ts';

/** What is done to each schema of a service. */
interface Schemas {
  request<S extends TSchema>(schema: S): TUnsafe<Static<S>>;
  response<S extends TSchema>(schema: S): TUnsafe<Static<S>>;
}

const Message = Type.Object({ n: Type.Number(), s: Type.String({ minLength: 16, maxLength: 16 }) });
const Writing = Type.Object({ ms: Type.Number(), messages: Type.Number(), heeds: Type.Boolean() });
const Bytes = Type.Object({ bytes: Type.Uint8Array() });
const Count = Type.Object({ count: Type.Number() });
const Nothing = Type.Object({});

const subscribers = new Set<Writable<Result<Small, never>>>();

/** Writes to every subscription there is. */
export function publish(message: Small): void {
  broadcast(subscribers, Ok(message));
}

function serviceOf({ request, response }: Schemas) {
  return createServiceSchema().define({
    echo: Procedure.rpc({
      requestInit: request(Message),
      responseData: response(Message),
      handler: ({ reqInit }) => Ok(reqInit),
    }),
    echoBytes: Procedure.rpc({
      requestInit: request(Bytes),
      responseData: response(Bytes),
      handler: ({ reqInit }) => Ok(reqInit),
    }),
    download: Procedure.subscription({
      requestInit: request(Writing),
      responseData: response(Message),
      async handler({ reqInit, resWritable }) {
        const write = (message: Small) => resWritable.write(Ok(message));
        await writeAs(reqInit, write, () => resWritable.waitForWriteReady());
        resWritable.close();
      },
    }),
    upload: Procedure.upload({
      requestInit: request(Nothing),
      requestData: request(Message),
      responseData: response(Count),
      async handler({ reqReadable }) {
        let count = 0;
        for await (const item of reqReadable) {
          if (!item.ok) throw new Error(item.payload.message);
          count += 1;
        }
        return Ok({ count });
      },
    }),
    events: Procedure.subscription({
      requestInit: request(Nothing),
      responseData: response(Message),
      handler({ ctx, resWritable }) {
        subscribers.add(resWritable as Writable<Result<Small, never>>); // narrower: it declares no error
        ctx.deferCleanup(() => subscribers.delete(resWritable as Writable<Result<Small, never>>));
        // Whoever waits for the first event knows that it will hear of the next.
        resWritable.write(Ok({ n: 0, s: 'you are let in..' }));
      },
    }),
    publish: Procedure.rpc({
      requestInit: request(Message),
      responseData: response(Nothing),
      handler({ reqInit }) {
        publish(reqInit);
        return Ok({});
      },
    }),
  });
}

const as = <S extends TSchema>(schema: S) => Type.Unsafe<Static<S>>(schema);

/** Checks by schemas that count them. A check is counted once the schema itself has said yes. */
export const checks = { requests: 0, responses: 0 };

function counting(what: keyof typeof checks) {
  const kind = `bench.${what}`;
  TypeRegistry.Set(kind, () => {
    checks[what] += 1;
    return true;
  });
  return <S extends TSchema>(schema: S) =>
    Type.Unsafe<Static<S>>(Type.Intersect([schema, Type.Unsafe({ [Kind]: kind })]));
}

/** What is measured. */
export const measured = serviceOf({ request: as, response: as });

/** The same procedures with the same schemas, which say how often they were used. */
export const counted = serviceOf({ request: counting('requests'), response: counting('responses') });

/** The services of the server, for its clients' types. */
export type Services = { app: typeof measured; counted: typeof counted };
