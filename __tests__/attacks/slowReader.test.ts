import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { createClient } from '../../router/client.ts';
import { Procedure } from '../../router/procedures.ts';
import { Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import { SessionBufferFullError } from '../../transport/errors.ts';
import { BarePeer, messageOf } from '../support/barePeer.ts';
import { BareServer } from '../support/bareServer.ts';
import type { Services } from '../support/routerServices.ts';
import { expectMemoryBack, liveBytes } from './support/memory.ts';
import { kinds, Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks": a slow reader; a peer that never acknowledges. What is promised today is
 * `maxSessionBufferBytes` for each session, and then a named error; there is no credit for each stream yet, so a slow
 * reader is bounded by what it leaves unacknowledged, together with the rest of its session.
 */

const maxMessageBytes = 64 * 1024;
const maxSessionBufferBytes = 1024 * 1024;
const limits = { maxMessageBytes, maxSessionBufferBytes, sessionHighWaterBytes: maxMessageBytes };

/** Writes for as long as it is let, without looking whether it may. */
const flood = (outcomes: string[]) =>
  createServiceSchema().define({
    all: Procedure.subscription({
      requestInit: Type.Object({}),
      responseData: Type.String(),
      async handler({ ctx, resWritable }) {
        const chunk = 'x'.repeat(30_000);
        let written = 0;
        while (!ctx.signal.aborted && written < 1_000) {
          resWritable.write(Ok(chunk));
          written += 1;
        }
        outcomes.push(`${ctx.signal.aborted ? 'aborted' : 'finished'} after ${written}`);
        resWritable.close();
      },
    }),
  });

describe.each(matrix)('a client that never acknowledges, over $name', ({ transport, codec }) => {
  test('ends the call that writes too much, with a named error, and nobody else’s', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.losesMessages = true;
    const serverTransport = harness.server(limits);
    const outcomes: string[] = [];
    const services = { flood: flood(outcomes) };
    const server = createServer(serverTransport, services);
    const honest = createClient<typeof services>(harness.client({}, 'honest'));
    using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
    await peer.handshake();
    const open = { controlFlags: 10, serviceName: 'flood', procedureName: 'all', payload: {} };
    peer.send(messageOf({ seq: 0, streamId: 'flood', ...open }));
    for (;;) {
      const message = await peer.next();
      if ((message.controlFlags & 4) === 0) continue;
      expect(message).toMatchObject({ streamId: 'flood', payload: { ok: false } });
      break;
    }
    expect(outcomes).toEqual([expect.stringMatching(/^aborted after [23]\d$/)]);
    expect(serverTransport.sessions.get('client-1')?.core.bufferedBytes).toBeLessThanOrEqual(maxSessionBufferBytes);
    expect(serverTransport.sessions.get('client-1')?.state).toBe('Connected');
    // The honest client's own flood ends the same way, in her session; she is told so by name.
    const results = await honest.flood.all.subscribe({}).resReadable.collect();
    expect(results.at(-1)).toMatchObject({ ok: false, payload: { code: 'SESSION_BUFFER_FULL' } });
    await server.close();
  });
});

describe.each(matrix)('a server that never acknowledges, over $name', ({ transport, codec }) => {
  test('costs its client what she allows, and then her writes fail with a named error', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    harness.losesMessages = true;
    using server = new BareServer(harness.link, codec);
    const clientTransport = harness.client(limits, 'client-1');
    const client = createClient<Services>(clientTransport);
    const peer = await server.accepted();
    await peer.acceptHandshake({});
    const { reqWritable, resReadable } = client.flow.echo.stream({ prefix: '' });
    const write = () => {
      for (let n = 0; n < 1_000; n++) reqWritable.write({ msg: 'x'.repeat(30_000) });
    };
    expect(write).toThrow(SessionBufferFullError);
    expect(reqWritable.isWritable()).toBe(true);
    expect(clientTransport.sessions.get('SERVER')?.core.bufferedBytes).toBeLessThanOrEqual(maxSessionBufferBytes);
    resReadable.break();
    clientTransport.close();
  });
});

describe.each(kinds)('a client that asks for more and more and acknowledges nothing, over %s', (kind) => {
  test('costs the server no more than the session’s bound, and nothing once it is gone', async () => {
    await using site = await Site.open(kind, { server: limits });
    const before = await liveBytes();
    const peer = await site.dial();
    await peer.handshake();
    // 1 000 answers of 60 000 bytes are asked for and none is acknowledged.
    const payload = 'x'.repeat(60_000);
    // Past the reserve not even their refusals fit, and the session ends; what is sent then waits here, not there.
    for (let seq = 0; seq < 1_000 && site.transport.sessions.has('client-1'); seq++) {
      const names = { serviceName: 'math', procedureName: 'types' };
      peer.send(messageOf({ seq, streamId: `s${seq}`, controlFlags: 10, ...names, payload }));
      if (seq % 10 === 0) await site.honest.expectNoticedNothing();
    }
    const session = site.transport.sessions.get('client-1');
    while (session !== undefined && !session._isConsumed && session.core.ledger.ack < 1_000) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const core = session?._isConsumed === false ? session.core : undefined;
    // Cancels and acknowledgements have a reserve of their own.
    expect(core?.bufferedBytes ?? 0).toBeLessThan(maxSessionBufferBytes + 256 * 1024);
    peer.close();
    peer.messages.length = 0;
    await expectMemoryBack(before + maxSessionBufferBytes);
  }, 30_000);
});
