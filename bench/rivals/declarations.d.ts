/**
 * What is used here of packages that are installed for `npm run bench` only: the sources must compile without them.
 * Their own documentation says more.
 */

declare module 'socket.io' {
  import type { EventEmitter } from 'node:events';
  import type { Server as HttpServer } from 'node:http';

  interface Socket {
    readonly conn: EventEmitter & { readonly writeBuffer: readonly unknown[] };
    on(event: string, listener: (...args: never[]) => void): void;
    emit(event: string, ...args: unknown[]): void;
    join(room: string): void;
  }
  class Server {
    constructor(http: HttpServer, options: object);
    readonly engine: { readonly clientsCount: number };
    on(event: 'connection', listener: (socket: Socket) => void): void;
    to(room: string): { emit(event: string, ...args: unknown[]): void };
  }
}

declare module 'socket.io-client' {
  import type { EventEmitter } from 'node:events';

  interface Engine extends EventEmitter {
    readonly writeBuffer: readonly unknown[];
    close(): void;
  }
  interface ClientSocket extends EventEmitter {
    readonly io: EventEmitter & { readonly engine: Engine };
    emitWithAck(event: string, ...args: unknown[]): Promise<never>;
  }
  function io(url: string, options: object): ClientSocket;
}

declare module '@trpc/server' {
  interface Resolving<T> {
    readonly input: T;
    readonly signal: AbortSignal;
  }
  interface Builder<T> {
    input<U>(schema: { parse(value: unknown): U }): Builder<U>;
    query(resolve: (options: Resolving<T>) => unknown): object;
    mutation(resolve: (options: Resolving<T>) => unknown): object;
    subscription(resolve: (options: Resolving<T>) => AsyncGenerator<unknown>): object;
  }
  const initTRPC: { create(): { readonly procedure: Builder<undefined>; router(procedures: object): object } };
}

declare module '@trpc/server/adapters/ws' {
  function applyWSSHandler(options: object): object;
}

declare module '@trpc/client' {
  interface Listener {
    onStarted?: () => void;
    onData?: () => void;
    onComplete?: () => void;
    onError?: (error: Error) => void;
  }
  interface TrpcClient {
    readonly echo: { query(message: object): Promise<never> };
    readonly publish: { mutate(message: object): Promise<void> };
    readonly download: { subscribe(writing: object, listener: Listener): void };
    readonly events: { subscribe(input: undefined, listener: Listener): void };
  }
  function createTRPCClient(options: object): TrpcClient;
  function createWSClient(options: object): object;
  function wsLink(options: object): object;
}

declare module 'zod' {
  interface Schema<T> {
    parse(value: unknown): T;
    length(characters: number): this;
  }
  const z: {
    object<T>(shape: { [K in keyof T]: Schema<T[K]> }): Schema<T>;
    number(): Schema<number>;
    string(): Schema<string>;
    boolean(): Schema<boolean>;
  };
}

declare module '@grpc/proto-loader' {
  function loadSync(file: string): object;
}

declare module '@grpc/grpc-js' {
  import type { Duplex } from 'node:stream';

  type Callback<T> = (error: Error | null, answer: T) => void;
  interface Bench {
    echo(message: object, callback: Callback<never>): void;
    echoBytes(message: object, callback: Callback<{ bytes: Uint8Array }>): void;
    publish(message: object, callback: Callback<object>): void;
    download(writing: object): Duplex;
    subscribe(nothing: object): Duplex;
    upload(callback: Callback<{ count: number }>): Duplex;
  }
  class Server {
    addService(service: object, handlers: object): void;
    bindAsync(address: string, credentials: object, callback: (error: Error | null, port: number) => void): void;
  }
  const ServerCredentials: { createInsecure(): object };
  const credentials: { createInsecure(): object };
  function loadPackageDefinition(definition: object): {
    readonly Bench: { new (address: string, credentials: object, options?: object): Bench; readonly service: object };
  };
}

declare module 'capnweb' {
  class RpcTarget {}
  function newWebSocketRpcSession<T = object>(webSocket: object, main?: RpcTarget): T;
}
