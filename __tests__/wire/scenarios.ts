import { isDeepStrictEqual } from 'node:util';
import type { TNumber, TObject, TString } from '@sinclair/typebox';
import { createClient } from '../../router/client.ts';
import type { RpcProcedure } from '../../router/procedures.ts';
import { Deviation, show } from './deviation.ts';
import { handMade } from './handMade.ts';
import type { ClientApplication, Ending, LiveScenario, Scenario } from './scenario.ts';

type Script = LiveScenario['client'];

function same(got: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(got, expected))
    throw new Deviation(`the application expected ${show(expected)}, got ${show(got)}`);
}

function live(client: Script, rest: Partial<Omit<LiveScenario, 'kind' | 'client'>> = {}): LiveScenario {
  return { kind: 'live', endings: {}, sessionsLeft: 1, client, ...rest };
}

const cutOnce: Readonly<Record<number, Ending>> = { 1: 'cut' };

/** The client's call fails with its session, and is not on the wire. */
async function refusedCall({ client }: ClientApplication): Promise<void> {
  const result = await client.math.add.rpc({ n: 1 });
  same(result.ok ? result : result.payload.code, 'UNEXPECTED_DISCONNECT');
}

function refused(metadata: () => unknown): LiveScenario {
  return live(refusedCall, { metadata, endings: { 1: 'both' }, sessionsLeft: 0 });
}

/** A procedure that the server has under this name with other types, or not at all. */
type Mistaken = {
  readonly procedures: Readonly<
    Record<'add' | 'nope', RpcProcedure<object, TObject<{ n: TNumber | TString }>, TObject, TObject>>
  >;
};

function mistaken(service: 'math' | 'nope', procedure: 'add' | 'nope', n: number | string): Script {
  return async ({ transport }) => {
    const client = createClient<Record<'math' | 'nope', Mistaken>>(transport, 'SERVER');
    const result = await client[service][procedure].rpc({ n });
    same(result.ok ? result : result.payload.code, 'INVALID_REQUEST');
  };
}

function pause({ clock }: Pick<ClientApplication, 'clock'>, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** Resolves when a session that is connected has lost its connection. */
function disconnected({ transport }: ClientApplication): Promise<void> {
  return new Promise((resolve) => {
    transport.addEventListener('sessionTransition', ({ state }) => {
      if (state !== 'Connected') resolve();
    });
  });
}

async function add(client: ClientApplication['client'], n: number, result: number): Promise<void> {
  same(await client.math.add.rpc({ n }), { ok: true, payload: { result } });
}

/** Reads the first of a subscription's endless values; then `abort`s, or lets it go on. */
async function readForever({ client }: ClientApplication, count: number, abort?: AbortController): Promise<void> {
  const { resReadable } = client.flow.forever.subscribe({}, { signal: abort?.signal });
  const results = resReadable[Symbol.asyncIterator]();
  for (let i = 0; i < count; i++) same((await results.next()).value, { ok: true, payload: { i } });
  if (abort === undefined) return;
  abort.abort();
  same((await results.next()).value, cancelledByClient);
}

const cancelledByClient = { ok: false, payload: { code: 'CANCEL', message: 'cancelled by client' } };
const everyType = { bytes: Uint8Array.of(0, 42, 255), big: 2n ** 60n, text: 'héllo 🇧🇪', nil: null };
const token = () => ({ token: 'abc' });

const lives: Readonly<Record<string, LiveScenario>> = {
  rpc: live(async ({ client }) => {
    await add(client, 3, 3);
    await add(client, 4, 7);
  }),
  'rpc-service-error': live(async ({ client }) => {
    const payload = { code: 'DIV_BY_ZERO', message: 'cannot divide by zero', extras: { dividend: 1 } };
    same(await client.math.divide.rpc({ a: 1, b: 0 }), { ok: false, payload });
  }),
  'rpc-uncaught-error': live(async ({ client }) => {
    same(await client.math.boom.rpc({}), { ok: false, payload: { code: 'UNCAUGHT_ERROR', message: 'kaput' } });
  }),
  'rpc-server-cancel': live(async ({ client }) => {
    same(await client.math.cancelMe.rpc({}), { ok: false, payload: { code: 'CANCEL', message: 'server says no' } });
  }),
  'rpc-client-cancel': live(async (application) => {
    const abort = new AbortController();
    const result = application.client.math.wait.rpc({}, { signal: abort.signal });
    await pause(application, 50);
    abort.abort();
    same(await result, cancelledByClient);
  }),
  'rpc-invalid-payload': live(mistaken('math', 'add', 'three')),
  'rpc-unknown-procedure': live(mistaken('math', 'nope', 1)),
  'rpc-unknown-service': live(mistaken('nope', 'add', 1)),
  'payload-types': live(async ({ client }) => {
    same(await client.math.types.rpc(everyType), { ok: true, payload: everyType });
  }),
  upload: live(async ({ client }) => {
    const { reqWritable, finalize } = client.flow.sum.upload({ multiplier: 2 });
    reqWritable.write({ value: 1 });
    reqWritable.write({ value: 2 });
    same(await finalize(), { ok: true, payload: { total: 6 } });
  }),
  stream: live(async ({ client }) => {
    const { reqWritable, resReadable } = client.flow.echo.stream({ prefix: '>' });
    reqWritable.write({ msg: 'a' });
    reqWritable.write({ msg: 'b' });
    reqWritable.close();
    const results = await resReadable.collect();
    same(results, [
      { ok: true, payload: { out: '>a' } },
      { ok: true, payload: { out: '>b' } },
    ]);
  }),
  'subscription-server-closes': live(async ({ client }) => {
    const { resReadable } = client.flow.count.subscribe({ to: 3 });
    same(
      await resReadable.collect(),
      [0, 1, 2].map((i) => ({ ok: true, payload: { i } })),
    );
  }),
  'subscription-client-aborts': live((application) => readForever(application, 3, new AbortController())),
  heartbeats: live(({ client }) => add(client, 1, 1)),
  'handshake-metadata-ok': live(({ client }) => add(client, 1, 1), { metadata: token }),
  'handshake-metadata-malformed': refused(() => ({ token: 42 })),
  'handshake-rejected': refused(() => ({ token: 'bad' })),
  rehandshake: live(
    async (application) => {
      await add(application.client, 1, 1);
      await pause(application, 50);
      await add(application.client, 1, 2);
    },
    {
      metadata: token,
      server: async (application) => {
        await pause(application, 50);
        application.transport.requestRehandshake('client-1');
      },
    },
  ),
  'transparent-reconnect': live((application) => readForever(application, 44), {
    endings: cutOnce,
    keepsTalking: true,
  }),
  'reconnect-resends-client-messages': live(
    async (application) => {
      const { client } = application;
      await add(client, 1, 1);
      await disconnected(application);
      await Promise.all([add(client, 10, 11), add(client, 10, 21), add(client, 10, 31)]);
    },
    { endings: cutOnce },
  ),
};

/** What was done in each recording, by its name. */
export const scenarios: Readonly<Record<string, Scenario>> = { ...lives, ...handMade };

/** What was done in one recording. */
export function scenarioOf(name: string): Scenario {
  const scenario = scenarios[name];
  if (scenario === undefined) throw new Error(`nothing is known of a recording '${name}'`);
  return scenario;
}
