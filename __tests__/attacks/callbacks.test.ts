import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { createClient } from '../../router/client.ts';
import type { Middleware } from '../../router/middleware.ts';
import { Procedure } from '../../router/procedures.ts';
import { Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { closeAllConnections } from '../../testUtil/connections.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { ServerTransport } from '../../transport/server.ts';
import { messageOf, requestOf } from '../support/barePeer.ts';
import { expectMemoryBack, liveBytes } from './support/memory.ts';
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

/** When a middleware does what it should not, and whether its call may still go well. */
const moments = [
  { when: 'before it lets the call through', goesOn: false, harmless: [] },
  // The handler has answered by then: a middleware that returns nothing stands for that answer, and a cut is resumed.
  { when: 'after the handler', goesOn: true, harmless: ['returns nothing', 'breaks every connection'] },
] as const;
const middlewareCases = ['server', 'service'].flatMap((of) =>
  moments.flatMap((moment) => Object.keys(misdeeds).map((misdeed) => ({ of, misdeed, ...moment }))),
);

describe.each(matrix)('over $name', ({ transport, codec }) => {
  test.each(middlewareCases)(
    'a middleware of a $of that $misdeed $when fails that call at most',
    async ({ of, misdeed, goesOn, harmless }) => {
      using watched = watchProcess();
      await using harness = await createHarness({ transport, codec });
      const serverTransport = harness.server();
      let handled = 0;
      const middleware: Middleware = async ({ procedureName, next }) => {
        if (procedureName !== 'act') return next();
        if (goesOn) await next();
        // The cast: what a middleware returns without its types' consent is the point.
        return misdeeds[misdeed]?.(serverTransport) as never;
      };
      const Service = createServiceSchema();
      const services = {
        guarded: (of === 'service' ? Service.middleware(middleware) : Service).define({
          act: Procedure.rpc({
            requestInit: Type.Object({}),
            responseData: Type.Object({}),
            async handler() {
              handled += 1;
              return Ok({});
            },
          }),
          fine: Procedure.rpc({
            requestInit: Type.Object({}),
            responseData: Type.Object({}),
            handler: async () => Ok({}),
          }),
        }),
      };
      const server = createServer(serverTransport, services, of === 'server' ? { middlewares: [middleware] } : {});
      const client = createClient<typeof services>(harness.client());
      const other = createClient<typeof services>(harness.client());
      const failed = client.guarded.act.rpc({});
      const meanwhile = other.guarded.fine.rpc({});
      await harness.advance(2_000);
      expect((await failed).ok).toBe((harmless as readonly string[]).includes(misdeed));
      expect(handled).toBe(goesOn ? 1 : 0);
      expect([true, misdeed !== 'ends every session']).toContain((await meanwhile).ok);
      const next = [client.guarded.fine.rpc({}), other.guarded.fine.rpc({})];
      await harness.advance(2_000);
      for (const result of await Promise.all(next)) expect(result).toEqual({ ok: true, payload: {} });
      expect([server.openCalls, server.running]).toEqual([0, 0]);
      expect(watched.seen).toEqual([]);
      await server.close();
    },
  );
});

describe.each(kinds)('beside an honest client over %s', (kind) => {
  const fail = (): never => {
    throw new Error('kaput');
  };

  test('a middleware that throws, rejects or answers nonsense for all but her costs nobody else anything', async () => {
    const nonsense: Middleware = (({ ctx, next }) => {
      if (ctx.from === 'honest') return next();
      if (ctx.streamId === 's0') throw undefined;
      if (ctx.streamId === 's1') return Promise.reject(new Error('kaput'));
      return 7;
    }) as Middleware; // without its types' consent
    await using site = await Site.open(kind, { router: { middlewares: [nonsense] } });
    using peer = await site.dial();
    await peer.handshake();
    const open = { controlFlags: 10, serviceName: 'math', procedureName: 'types', payload: 'me too' };
    let before = 0;
    let ack = 0;
    for (let seq = 0; seq < 3_000; seq++) {
      peer.send(messageOf({ seq, ack, streamId: `s${seq}`, ...open }));
      let answer = await peer.next();
      while (answer.controlFlags === 1) answer = await peer.next(); // a beat
      expect(answer).toMatchObject({ controlFlags: 4, payload: { payload: { code: 'UNCAUGHT_ERROR' } } });
      ack = answer.seq + 1;
      if (seq === 1_000) before = await liveBytes();
    }
    // What was heard is the test's own.
    peer.messages.length = 0;
    await expectMemoryBack(before);
  }, 30_000);

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
