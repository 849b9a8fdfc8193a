import type { Small, Writing } from '../application.ts';

/** A client's function, as a server sees it. */
export interface Listener {
  (message: Small): unknown;
  /** One that outlives the call that brought it. */
  dup(): Listener;
}

/** What the server offers. */
export interface Api {
  echo(message: Small): Promise<Small>;
  echoBytes(bytes: Uint8Array): Promise<Uint8Array>;
  download(writing: Writing): Promise<ReadableStream<Small>>;
  upload(stream: ReadableStream<Small>): Promise<number>;
  subscribe(listener: unknown): Promise<void>;
  publish(message: Small): Promise<void>;
}
