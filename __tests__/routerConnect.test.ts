import { Type } from '@sinclair/typebox';
import { expect, test, vi } from 'vitest';
import { JsonCodec } from '../codec/json.ts';
import { type ConnectedClient, type ConnectOptions, type ConnectStatus, connect } from '../router/connect.ts';
import { Procedure } from '../router/procedures.ts';
import { Ok } from '../router/result.ts';
import { createServer } from '../router/server.ts';
import { createServerHandshakeOptions } from '../router/serverHandshake.ts';
import { createServiceSchema } from '../router/services.ts';
import { createHarness, type Harness } from '../testUtil/harness.ts';
import { InvalidOptionsError } from '../transport/errors.ts';

const who = createServiceSchema<object, { user: string }>().define({
  ami: Procedure.rpc({
    requestInit: Type.Object({}),
    responseData: Type.String(),
    handler: ({ ctx }) => Ok(ctx.metadata.user),
  }),
});

interface Scene {
  h: Harness;
  connected: ConnectedClient<{ who: typeof who }>;
  statuses: ConnectStatus[];
  /** Resolves when the client stands there. */
  reached: (status: ConnectStatus) => Promise<void>;
}

async function scene(options: ConnectOptions): Promise<Scene> {
  const h = await createHarness({ transport: 'ws', codec: JsonCodec });
  const handshakeOptions = createServerHandshakeOptions(Type.Object({ token: Type.String() }), ({ token }) =>
    token === '' ? 'REJECTED_BY_CUSTOM_HANDLER' : { user: token },
  );
  createServer(h.server(), { who }, { handshakeOptions });
  const connected = connect<{ who: typeof who }>(h.link.address, { clock: h.clock, ...options });
  const statuses: ConnectStatus[] = [];
  connected.onStatus((status) => statuses.push(status));
  const reached = (wanted: ConnectStatus) =>
    new Promise<void>((resolve) => {
      if (connected.status() === wanted) return resolve();
      const stop = connected.onStatus((status) => {
        if (status !== wanted) return;
        stop();
        resolve();
      });
    });
  return { h, connected, statuses, reached };
}

test('connect makes calls over a WebSocket under an identity, and says where it stands', async () => {
  const { h, connected, statuses, reached } = await scene({ auth: { token: 'ann' } });
  await using _ = h;
  expect(connected.status()).toBe('connecting');
  await reached('connected');
  expect(await connected.client.who.ami.rpc({})).toEqual(Ok('ann'));
  h.link.cut();
  await reached('connecting');
  await h.advance(1_000);
  await reached('connected');
  connected.close();
  expect(connected.status()).toBe('closed');
  expect(statuses).toEqual(['connected', 'connecting', 'connected', 'closed']);
  expect(await connected.client.who.ami.rpc({})).toMatchObject({ payload: { code: 'UNEXPECTED_DISCONNECT' } });
});

test('a listener of the status that throws or rejects harms nobody', async () => {
  const { h, connected, reached } = await scene({ auth: { token: 'ann' } });
  await using _ = h;
  const logged: string[] = [];
  connected.transport.bindLogger((message) => logged.push(message), 'error');
  connected.onStatus(() => {
    throw new Error('mine');
  });
  connected.onStatus(async () => {
    throw new Error('mine, later');
  });
  await reached('connected');
  connected.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(logged).toEqual(new Array(4).fill('a listener of the status threw'));
});

test('connect makes its identity anew for every handshake', async () => {
  let turn = 0;
  const { h, connected, reached } = await scene({ auth: () => ({ token: `turn ${++turn}` }) });
  await using _ = h;
  await reached('connected');
  expect(await connected.client.who.ami.rpc({})).toEqual(Ok('turn 1'));
  h.link.cut();
  await reached('connecting');
  await h.advance(1_000);
  expect(await connected.client.who.ami.rpc({})).toEqual(Ok('turn 2'));
  connected.close();
});

test('connect does not dial again where its identity is refused', async () => {
  const { h, connected, statuses, reached } = await scene({ auth: { token: '' } });
  await using _ = h;
  await reached('disconnected');
  expect(statuses).toEqual(['disconnected']);
  connected.close();
});

test('connect connects at the first call if it is told to', async () => {
  const { h, connected } = await scene({ auth: { token: 'ann' }, eagerlyConnect: false });
  await using _ = h;
  expect(connected.status()).toBe('disconnected');
  expect(await connected.client.who.ami.rpc({})).toEqual(Ok('ann'));
  expect(connected.status()).toBe('connected');
  connected.close();
});

test.each(['', 'nonsense', '/path', 'localhost:8080', 'ftp://host', new URL('file:///tmp')])(
  "connect refuses '%s', which no WebSocket could ever be opened to",
  (url) => {
    expect(() => connect(url)).toThrow(
      new InvalidOptionsError(`expected a URL that begins with ws:// or wss://, got '${url}'`),
    );
  },
);

test.each([
  'ws://host',
  'wss://host/path?x=1',
  'http://host',
  'https://host',
  'ws+unix:///tmp/x.sock',
  new URL('ws://h'),
])("connect takes '%s'", (url) => {
  const { status, close } = connect(url, { eagerlyConnect: false });
  expect(status()).toBe('disconnected');
  close();
});

test('connect takes what is relative to the page, where there is one', () => {
  vi.stubGlobal('location', { href: 'https://host/app/' });
  try {
    connect('/path', { eagerlyConnect: false }).close();
    connect('../live', { eagerlyConnect: false }).close();
    expect(() => connect('localhost:8080')).toThrow(InvalidOptionsError);
  } finally {
    vi.unstubAllGlobals();
  }
});
