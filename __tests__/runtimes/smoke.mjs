// A server and its clients in whichever runtime executes this: every transport × codec, the four kinds of calls, a cut.
// Prints one JSON line of what it saw; exits with 1 on the first thing that is off.
import { createServer as createHttpServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import { createClient, createServer, createServiceSchema, Ok, Procedure, unwrapOrThrow, values } from 'holdfast';
import { JsonCodec, MsgpackCodec } from 'holdfast/codec';
import { createMemoryNetwork } from 'holdfast/transport/memory';
import { UnixDomainSocketClientTransport } from 'holdfast/transport/unix/client';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from 'holdfast/transport/unix/server';
import { WebSocketClientTransport } from 'holdfast/transport/ws/client';
import { WebSocketServerTransport } from 'holdfast/transport/ws/server';
import { WebSocket } from 'ws';

const Service = createServiceSchema();
const n = Type.Object({ n: Type.Integer() });
const services = {
  math: Service.define({
    double: Procedure.rpc({
      requestInit: Type.Object({ n: Type.Integer(), bytes: Type.Uint8Array(), big: Type.BigInt() }),
      responseData: Type.Object({ n: Type.Integer(), bytes: Type.Uint8Array(), big: Type.BigInt() }),
      handler: async ({ reqInit }) => Ok({ n: reqInit.n * 2, bytes: reqInit.bytes, big: reqInit.big * 2n }),
    }),
    sum: Procedure.upload({
      requestInit: Type.Object({}),
      requestData: n,
      responseData: n,
      async handler({ reqReadable }) {
        let sum = 0;
        for await (const item of values(reqReadable)) sum += item.n;
        return Ok({ n: sum });
      },
    }),
    count: Procedure.subscription({
      requestInit: n,
      responseData: n,
      async handler({ reqInit, resWritable }) {
        for (let i = 0; i < reqInit.n; i++) resWritable.write(Ok({ n: i }));
        resWritable.close();
      },
    }),
    echo: Procedure.stream({
      requestInit: Type.Object({}),
      requestData: n,
      responseData: n,
      async handler({ reqReadable, resWritable }) {
        for await (const item of values(reqReadable)) resWritable.write(Ok(item));
        resWritable.close();
      },
    }),
  }),
};

function expectEqual(what, got, wanted) {
  const text = (value) => JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? `${item}n` : item));
  if (text(got) !== text(wanted)) throw new Error(`${what}: expected ${text(wanted)}, got ${text(got)}`);
}

async function drain(readable) {
  const all = [];
  for await (const item of values(readable)) all.push(item.n);
  return all;
}

async function exercise(transport) {
  const client = createClient(transport, 'SERVER');
  const call = async () => {
    const bytes = new Uint8Array([1, 2, 255]);
    const { n, bytes: back, big } = unwrapOrThrow(await client.math.double.rpc({ n: 21, bytes, big: 2n ** 70n }));
    expectEqual('rpc', [n, [...back], big], [42, [1, 2, 255], 2n ** 71n]);
  };
  await call();
  const { reqWritable, finalize } = client.math.sum.upload({});
  for (const n of [1, 2, 3]) reqWritable.write({ n });
  reqWritable.close();
  expectEqual('upload', unwrapOrThrow(await finalize()), { n: 6 });
  expectEqual('subscription', await drain(client.math.count.subscribe({ n: 3 }).resReadable), [0, 1, 2]);
  const stream = client.math.echo.stream({});
  stream.reqWritable.write({ n: 1 });
  const id = transport.sessions.get('SERVER').id;
  for (const session of transport.sessions.values()) session.connection.break(new Error('cut'));
  stream.reqWritable.write({ n: 2 });
  stream.reqWritable.close();
  expectEqual('stream over a cut', await drain(stream.resReadable), [1, 2]);
  expectEqual('session after the cut', transport.sessions.get('SERVER').id, id);
  await call();
  transport.close();
}

const http = createHttpServer();
const ws = new WebSocketServerTransport(undefined, 'SERVER');
http.on('upgrade', (request, socket, head) => ws.handleUpgrade(request, socket, head));
await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
const net = createNetServer();
const path = join(tmpdir(), `holdfast-smoke-${process.pid}.sock`);
const unix = new UnixDomainSocketServerTransport(net, 'SERVER');
await listenOnUnixSocket(net, path);
const network = createMemoryNetwork();
const memory = network.createServerTransport('SERVER');
const server = createServer([ws, unix, memory], services);

const seen = [];
for (const codec of [JsonCodec, MsgpackCodec]) {
  const options = { codec };
  const url = `ws://127.0.0.1:${http.address().port}`;
  const clients = {
    ws: () => new WebSocketClientTransport(() => new WebSocket(url), undefined, options),
    // The platform's own, where there is one.
    ...(globalThis.WebSocket === undefined
      ? {}
      : {
          'own WebSocket': () => new WebSocketClientTransport(() => new globalThis.WebSocket(url), undefined, options),
        }),
    unix: () => new UnixDomainSocketClientTransport(path, undefined, options),
    memory: () => network.createClientTransport(undefined, options),
  };
  for (const [name, make] of Object.entries(clients)) {
    await exercise(make());
    seen.push(`${name} × ${codec.name}`);
  }
}
await server.close();
for (const transport of [ws, unix, memory]) transport.close();
net.close();
http.close();
console.log(JSON.stringify(seen));
