import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { Type } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { createClient } from '../../router/client.ts';
import { Procedure } from '../../router/procedures.ts';
import { Ok, unwrapOrThrow } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { WebSocketClientTransport } from '../../transport/impls/ws/client.ts';
import { openWebSocket } from '../../transport/impls/ws/defaultWebSocket.node.ts';
import { WebSocketServerTransport } from '../../transport/impls/ws/server.ts';

const fixture = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8');
const cert = fixture('localhost.crt');

const services = {
  files: createServiceSchema().define({
    echo: Procedure.rpc({
      requestInit: Type.Object({ bytes: Type.Uint8Array() }),
      responseData: Type.Object({ bytes: Type.Uint8Array() }),
      handler: ({ reqInit }) => Ok(reqInit),
    }),
    count: Procedure.upload({
      requestInit: Type.Object({}),
      requestData: Type.Object({ text: Type.String() }),
      responseData: Type.Object({ texts: Type.Array(Type.String()) }),
      async handler({ reqReadable }) {
        const texts: string[] = [];
        for (const { ok, payload } of await reqReadable.collect()) if (ok) texts.push(payload.text);
        return Ok({ texts });
      },
    }),
  }),
};

test('over TLS calls are answered, frames are masked with zeros, and a session survives its connection', async () => {
  const sockets: TLSSocket[] = [];
  const read: Buffer[] = [];
  const https = createHttpsServer({ key: fixture('localhost.key'), cert });
  const serverTransport = new WebSocketServerTransport(undefined, 'SERVER');
  https.on('upgrade', (request, socket: TLSSocket, head) => {
    sockets.push(socket);
    // As they came out of TLS, and a copy: `ws` takes masks off where the bytes are.
    socket.on('data', (bytes) => read.push(Buffer.from(bytes)));
    serverTransport.handleUpgrade(request, socket, head);
  });
  await once(https.listen(0, '127.0.0.1'), 'listening');
  const { port } = https.address() as AddressInfo; // of TCP
  createServer(serverTransport, services);
  // A host in the clear would have masks that say something: that there are none is because of TLS.
  const createConnection = () => connect({ port, host: '127.0.0.1', ca: cert, servername: 'localhost' });
  const dial = () => openWebSocket('wss://files.example/', { createConnection: createConnection as never });
  const transport = new WebSocketClientTransport(dial, 'client-1');
  try {
    const client = createClient<typeof services>(transport, 'SERVER');
    // Several records of TLS.
    const bytes = new Uint8Array(200_000).map((_, i) => i * 7);
    expect(unwrapOrThrow(await client.files.echo.rpc({ bytes })).bytes).toEqual(bytes);
    expect(sockets).toHaveLength(1);

    const { reqWritable, finalize } = client.files.count.upload({});
    reqWritable.write({ text: 'said in the clear within TLS' });
    await client.files.echo.rpc({ bytes: new Uint8Array(1) });
    expect(Buffer.concat(read).toString('latin1')).toContain('said in the clear within TLS');

    const [{ id } = { id: 'none' }] = [...transport.sessions.values()];
    sockets[0]?.destroy();
    reqWritable.write({ text: 'said while nobody was there' });
    reqWritable.close();
    const texts = ['said in the clear within TLS', 'said while nobody was there'];
    expect(unwrapOrThrow(await finalize())).toEqual({ texts });
    expect([...transport.sessions.values()].map((session) => session.id)).toEqual([id]);
    expect(sockets).toHaveLength(2);
  } finally {
    transport.close();
    serverTransport.close();
    https.close();
  }
});

test('a server whose certificate nobody vouches for is not spoken to', async () => {
  const https = createHttpsServer({ key: fixture('localhost.key'), cert });
  const serverTransport = new WebSocketServerTransport(undefined, 'SERVER');
  https.on('upgrade', (request, socket, head) => serverTransport.handleUpgrade(request, socket, head));
  const hungUp = once(https, 'tlsClientError');
  await once(https.listen(0, '127.0.0.1'), 'listening');
  const { port } = https.address() as AddressInfo; // of TCP
  const transport = new WebSocketClientTransport(() => openWebSocket(`wss://127.0.0.1:${port}`), 'client-1');
  try {
    const failed = new Promise<unknown>((resolve) => {
      transport.bindLogger((_text, { error }) => error !== undefined && resolve(error), 'info');
    });
    transport.connect('SERVER');
    expect(await failed).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await hungUp;
    expect(serverTransport.sessions.size).toBe(0);
  } finally {
    transport.close();
    serverTransport.close();
    https.close();
  }
});
