import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { createClient } from '../../router/client.ts';
import { Procedure } from '../../router/procedures.ts';
import { Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { closeAllConnections } from '../../testUtil/connections.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { ServerTransport } from '../../transport/server.ts';
import { requestOf } from '../support/barePeer.ts';
import { kinds, Site } from './support/site.ts';
import { watchProcess } from './support/watch.ts';

/*
 * Of the table "Bad input and attacks": callbacks that throw, reject, or close the session re-entrantly. Listener by
 * listener and logger by logger: transport/badCallbacks.test.ts; validators: transport/handshakeValidation.test.ts;
 * handlers and middlewares one by one: routerContext.test.ts. Here: all that a handler or a middleware can do to the
 * session it serves, over every transport; and everything failing at once beside an honest client.
 */

/** What a callback may do instead of its work. */
const misdeeds: Record<string, (transport: ServerTransport) => unknown> = {
  throws: () => {
    throw new Error('kaput');
  },
  'throws nothing': () => {
    throw undefined;
  },
  rejects: () => Promise.reject(new Error('kaput')),
  'returns nothing': () => undefined,
  'returns what throws when it is looked at': () =>
    Object.defineProperty({}, 'then', {
      get: () => {
        throw new Error('kaput');
      },
    }),
  'breaks every connection': (transport) => closeAllConnections(transport),
  'ends every session': (transport) => transport.hardDisconnect(),
};

const bad = (transport: () => ServerTransport) =>
  createServiceSchema().define({
    act: Procedure.rpc({
      requestInit: Type.Object({ misdeed: Type.String() }),
      responseData: Type.Object({}),
      // The cast: what a handler returns without its types' consent is the point.
      handler: ({ reqInit }) => misdeeds[reqInit.misdeed]?.(transport()) as never,
    }),
    fine: Procedure.rpc({
      requestInit: Type.Object({}),
      responseData: Type.Object({}),
      handler: async () => Ok({}),
    }),
  });

describe.each(matrix)('over $name', ({ transport, codec }) => {
  test.each(Object.keys(misdeeds))(
    'a handler that %s fails its own call at most, and the next one is served',
    async (misdeed) => {
      using watched = watchProcess();
      await using harness = await createHarness({ transport, codec });
      const serverTransport = harness.server();
      const services = { bad: bad(() => serverTransport) };
      const server = createServer(serverTransport, services);
      const client = createClient<typeof services>(harness.client());
      const other = createClient<typeof services>(harness.client());
      const failed = client.bad.act.rpc({ misdeed });
      const meanwhile = other.bad.fine.rpc({});
      await harness.advance(2_000);
      expect(await failed).toMatchObject({ ok: false });
      // Ending every session ends the other's call as well: that is what was asked for. It learns so.
      const isOver = misdeed === 'ends every session';
      expect([true, !isOver]).toContain((await meanwhile).ok);
      const next = [client.bad.fine.rpc({}), other.bad.fine.rpc({})];
      await harness.advance(2_000);
      for (const result of await Promise.all(next)) expect(result).toEqual({ ok: true, payload: {} });
      expect(server.openCalls).toBe(0);
      expect(watched.seen).toEqual([]);
      await server.close();
    },
  );
});

describe.each(kinds)('beside an honest client over %s', (kind) => {
  const fail = (): never => {
    throw new Error('kaput');
  };

  test('listeners and loggers that all fail, at every event, fail nobody', async () => {
    await using site = await Site.open(kind);
    for (const name of ['sessionStatus', 'sessionTransition', 'protocolError', 'transportStatus'] as const) {
      site.transport.addEventListener(name, fail);
      site.transport.addEventListener(name, () => Promise.reject(new Error('kaput')));
    }
    site.transport.bindLogger(fail, 'debug');
    for (let n = 0; n < 10; n++) {
      using peer = await site.dial();
      await peer.handshake();
      peer.sendBytes(new Uint8Array([0]));
      await peer.closed();
      await site.honest.expectNoticedNothing();
    }
  });

  test.each([
    ['throws', fail],
    ['rejects', () => Promise.reject(new Error('kaput'))],
    ['never settles', () => new Promise(() => undefined)],
    ['returns nothing', () => undefined],
    ['returns a code that is none', () => 'SESSION_STATE_MISMATCH'],
  ])('a validator that %s lets nobody in, and those who are in go on', async (_what, act) => {
    await using site = await Site.open(kind, {
      server: { handshakeTimeoutMs: 200 },
      honestMetadata: { isHonest: true },
      handshake: {
        checkMetadata: () => undefined,
        validate: (metadata) => (typeof metadata === 'object' ? metadata : act()),
      },
    });
    for (let n = 0; n < 5; n++) {
      using peer = await site.dial();
      peer.send(requestOf({ metadata: 'no object' }));
      await peer.closed();
      expect(site.transport.sessions.has('client-1')).toBe(false);
    }
    expect(site.transport.pendingHandshakes).toBe(0);
  });
});
