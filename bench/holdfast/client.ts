import { createClient, unwrapOrThrow } from 'holdfast';
import { WebSocketClientTransport } from 'holdfast/transport/ws/client';
import { WebSocket } from 'ws';
import { type Small, small, writeAs } from '../application.ts';
import { Gate } from '../gate.ts';
import type { ClientSide, Connected, Cut, Exchanged } from '../library.ts';
import { spokenIn } from './extensions.ts';
import type { Services } from './services.ts';

const transports: WebSocketClientTransport[] = [];

/** A client as an application makes it, and a hand on the socket underneath. */
function clientOf(port: number) {
  const gate = new Gate(port);
  let opened: () => void = () => undefined;
  const dial = () => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}`, {
      perMessageDeflate: false,
      createConnection: gate.connect,
    });
    ws.once('open', () => opened());
    return ws;
  };
  const transport = new WebSocketClientTransport(dial);
  transports.push(transport);
  const cut: Cut = {
    cut: () => gate.cut(),
    reopen: () =>
      new Promise((resolve) => {
        opened = () => resolve(performance.now());
        gate.open();
      }),
  };
  return { client: createClient<Services>(transport), cut };
}

async function connect(port: number): Promise<Connected> {
  const { client, cut } = clientOf(port);
  const { measured } = client;
  const connected: Connected = {
    echo: async (message) => unwrapOrThrow(await measured.echo.rpc(message)),
    echoBytes: async (bytes) => unwrapOrThrow(await measured.echoBytes.rpc({ bytes })).bytes,
    async download(writing, onMessage) {
      const { resReadable } = measured.download.subscribe(writing);
      for await (const result of resReadable) {
        unwrapOrThrow(result);
        onMessage();
      }
    },
    async upload(writing) {
      const { reqWritable, finalize } = measured.upload.upload({});
      const write = (message: Small) => reqWritable.write(message);
      await writeAs(writing, write, () => reqWritable.waitForWriteReady());
      return unwrapOrThrow(await finalize()).count;
    },
    async subscribe(onEvent) {
      const iterator = measured.events.subscribe({}).resReadable[Symbol.asyncIterator]();
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
    publish: async (message) => unwrapOrThrow(await measured.publish.rpc(message)),
    cut,
  };
  await connected.echo(small(0));
  return connected;
}

const CALLS = 200;
const MESSAGES = 5_000;

/**
 * Makes calls and streams of the counting service, on a session of its own to the server that is measured. The library
 * does not know one service from the other: what it checks of these, it checks of those.
 */
async function talk(port: number): Promise<Exchanged> {
  const { counted } = clientOf(port).client;
  const exchanged: Exchanged = { sent: 0, received: 0 };
  for (let n = 0; n < CALLS; n++) {
    unwrapOrThrow(await counted.echo.rpc(small(n)));
    exchanged.sent += 1;
    exchanged.received += 1;
  }
  const writing = { ms: 60_000, messages: MESSAGES, heeds: true };
  exchanged.sent += 1;
  for await (const result of counted.download.subscribe(writing).resReadable) {
    unwrapOrThrow(result);
    exchanged.received += 1;
  }
  const { reqWritable, finalize } = counted.upload.upload({});
  exchanged.sent += 1;
  const write = (message: Small) => reqWritable.write(message);
  exchanged.sent += await writeAs(writing, write, () => reqWritable.waitForWriteReady());
  const { count } = unwrapOrThrow(await finalize());
  exchanged.received += 1;
  if (count !== MESSAGES) throw new Error(`the server received ${count} messages of ${MESSAGES}`);
  return exchanged;
}

/** Ours, in a clients' process. */
export const client: ClientSide = {
  connect,
  audit: {
    spoken: () => spokenIn(transports.flatMap(({ sessions }) => [...sessions.values()])),
    talk,
  },
};
