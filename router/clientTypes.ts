import type { CallOptions, UnkeyedCallOptions } from './callOptions.ts';
import type { ReaderError } from './errors.ts';
import type { Readable } from './readable.ts';
import type { Result } from './result.ts';
import type { Infer, PayloadSchema } from './schema.ts';
import type { Writable } from './writable.ts';

/** Calls an rpc. The promise rejects only if `init` cannot be encoded. */
export interface RpcClient<Init, Data, Errors> {
  rpc(init: Init, options?: CallOptions | undefined): Promise<Result<Data, Errors>>;
}

/** Calls an upload. `finalize` closes `reqWritable` and waits for the result; calling it again gives the same. */
export interface UploadClient<Init, Request, Data, Errors> {
  upload(
    init: Init,
    options?: UnkeyedCallOptions | undefined,
  ): { reqWritable: Writable<Request>; finalize: () => Promise<Result<Data, Errors>> };
}

/** Calls a subscription. */
export interface SubscriptionClient<Init, Data, Errors> {
  subscribe(init: Init, options?: UnkeyedCallOptions | undefined): { resReadable: Readable<Data, Errors> };
}

/** Calls a stream. */
export interface StreamClient<Init, Request, Data, Errors> {
  stream(
    init: Init,
    options?: UnkeyedCallOptions | undefined,
  ): { reqWritable: Writable<Request>; resReadable: Readable<Data, Errors> };
}

/** The one method that calls a procedure. */
export type ProcedureClient<P> = P extends {
  readonly type: infer Type;
  readonly requestInit: infer I extends PayloadSchema;
  readonly responseData: infer D extends PayloadSchema;
  readonly responseError: infer E extends PayloadSchema;
}
  ? Type extends 'rpc'
    ? RpcClient<Infer<I>, Infer<D>, Infer<E> | ReaderError>
    : Type extends 'subscription'
      ? SubscriptionClient<Infer<I>, Infer<D>, Infer<E> | ReaderError>
      : P extends { readonly requestData: infer R extends PayloadSchema }
        ? Type extends 'upload'
          ? UploadClient<Infer<I>, Infer<R>, Infer<D>, Infer<E> | ReaderError>
          : StreamClient<Infer<I>, Infer<R>, Infer<D>, Infer<E> | ReaderError>
        : never
  : never;

/** Methods for every procedure of a service. */
export type ServiceClient<Procedures> = { readonly [Name in keyof Procedures]: ProcedureClient<Procedures[Name]> };

/** Methods for every procedure of every service: `client.math.add.rpc({ n: 3 })`. */
export type Client<Services extends Record<string, { readonly procedures: object }>> = {
  readonly [Name in keyof Services]: ServiceClient<Services[Name]['procedures']>;
};
