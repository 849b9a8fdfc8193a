import { once } from 'node:events';
import { type Small, small, writeAs } from '../application.ts';
import type { ClientSide, Connected } from '../library.ts';
import { Bench, grpc } from './grpcPackage.ts';

async function connect(port: number): Promise<Connected> {
  // Clients of one process share a connection unless told not to.
  const options = { 'grpc.use_local_subchannel_pool': 1 };
  const client = new Bench(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
  const answered = <T>(ask: (callback: (error: Error | null, answer: T) => void) => void) =>
    new Promise<T>((resolve, reject) => ask((error, answer) => (error === null ? resolve(answer) : reject(error))));
  const connected: Connected = {
    echo: (message) => answered<Small>((callback) => client.echo(message, callback)),
    echoBytes: async (bytes) =>
      (await answered<{ bytes: Uint8Array }>((callback) => client.echoBytes({ bytes }, callback))).bytes,
    async download(writing, onMessage) {
      const call = client.download(writing);
      call.on('data', onMessage);
      await once(call, 'end');
    },
    async upload(writing) {
      let call: ReturnType<typeof client.upload> | undefined;
      const answer = answered<{ count: number }>((callback) => {
        call = client.upload(callback);
      });
      const write = (message: Small) => call?.write(message) ?? true;
      await writeAs(writing, write, async () => {
        if (call !== undefined) await once(call, 'drain');
      });
      call?.end();
      return (await answer).count;
    },
    async subscribe(onEvent) {
      const call = client.subscribe({});
      call.on('error', (error) => console.error(error));
      await once(call, 'data');
      call.on('data', onEvent);
    },
    publish: (message) => answered((callback) => client.publish(message, callback)),
  };
  await connected.echo(small(0));
  return connected;
}

/** gRPC, in a clients' process. */
export const client: ClientSide = { connect };
