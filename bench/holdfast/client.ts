import { unwrapOrThrow } from 'holdfast';
import { type Small, small, writeAs } from '../application.ts';
import type { ClientSide, Connected } from '../library.ts';
import { dial, spoken } from './dial.ts';
import { talk } from './talk.ts';

async function connect(port: number): Promise<Connected> {
  const { client, cut } = dial(port);
  const { app } = client;
  const connected: Connected = {
    echo: async (message) => unwrapOrThrow(await app.echo.rpc(message)),
    echoBytes: async (bytes) => unwrapOrThrow(await app.echoBytes.rpc({ bytes })).bytes,
    async download(writing, onMessage) {
      const { resReadable } = app.download.subscribe(writing);
      for await (const result of resReadable) {
        unwrapOrThrow(result);
        onMessage();
      }
    },
    async upload(writing) {
      const { reqWritable, finalize } = app.upload.upload({});
      const write = (message: Small) => reqWritable.write(message);
      await writeAs(writing, write, () => reqWritable.waitForWriteReady());
      return unwrapOrThrow(await finalize()).count;
    },
    async subscribe(onEvent) {
      const iterator = app.events.subscribe({}).resReadable[Symbol.asyncIterator]();
      await iterator.next();
      const read = async () => {
        for (;;) {
          const { done, value } = await iterator.next();
          if (done) return;
          unwrapOrThrow(value);
          onEvent();
        }
      };
      void read();
    },
    publish: async (message) => unwrapOrThrow(await app.publish.rpc(message)),
    cut,
  };
  await connected.echo(small(0));
  return connected;
}

/** Ours, in a clients' process. */
export const client: ClientSide = {
  connect,
  audit: {
    spoken,
    talk,
  },
};
