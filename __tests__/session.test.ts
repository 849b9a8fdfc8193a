import { describe, expect, test } from 'vitest';
import { closeAllConnections, numberOfConnections } from '../testUtil/connections.ts';
import { createHarness } from '../testUtil/harness.ts';
import { matrix } from '../testUtil/matrix.ts';
import { Echo, Recorder } from './support/ports.ts';

describe.each(matrix)('a session over $name', ({ transport, codec }) => {
  const setup = () => createHarness({ transport, codec });

  test('carries messages in order, both ways', async () => {
    await using harness = await setup();
    const server = harness.server();
    const echo = new Echo(server);
    const client = harness.client();
    const port = client.openSession('SERVER');
    const call = new Recorder(port, 's1');
    call.open({ n: 0 });
    for (let n = 1; n <= 20; n++) call.send({ n });
    await harness.settled();
    expect(echo.received.map((message) => message.payload)).toEqual(Array.from({ length: 21 }, (_, n) => ({ n })));
    expect(call.payloads).toEqual(Array.from({ length: 21 }, (_, n) => ({ n })));
    call.end();
    echo.end();
  });

  test('survives a cut: what was lost is sent again, nothing arrives twice', async () => {
    await using harness = await setup();
    const echo = new Echo(harness.server());
    const client = harness.client();
    const port = client.openSession('SERVER');
    const call = new Recorder(port, 's1');
    call.open({ n: 0 });
    await harness.settled();
    const id = port.id;
    harness.link.cut();
    for (let n = 1; n <= 20; n++) call.send({ n });
    await harness.advance(1_000);
    expect(client.findSession('SERVER')?.id).toBe(id);
    expect(numberOfConnections(client)).toBe(1);
    expect(call.payloads).toEqual(Array.from({ length: 21 }, (_, n) => ({ n })));
    closeAllConnections(client);
    call.send({ n: 21 });
    await harness.advance(1_000);
    expect(call.payloads).toHaveLength(22);
    call.end();
    echo.end();
  });

  test('ends when the peer stays away for longer than the grace period, and its calls are told once', async () => {
    await using harness = await setup();
    const server = harness.server();
    const echo = new Echo(server);
    const client = harness.client();
    const call = new Recorder(client.openSession('SERVER'), 's1');
    call.open({ n: 0 });
    await harness.settled();
    harness.link.setReachable(false);
    harness.link.cut();
    await harness.advance(29_900);
    expect(call.ends).toEqual([]);
    await harness.advance(300);
    expect(call.ends).toEqual(['grace_elapsed']);
    expect(echo.ends).toEqual(['grace_elapsed']);
    expect(server.sessions.size).toBe(0);
    harness.link.setReachable(true);
    await harness.advance(40_000);
    expect(numberOfConnections(client)).toBe(1);
    expect(call.ends).toHaveLength(1);
  });

  test('stays connected while nothing is said: the server beats, the client answers', async () => {
    await using harness = await setup();
    const server = harness.server();
    const client = harness.client({ extensions: { compact: false } }); // compact beats have no seq to count them by
    client.connect('SERVER');
    await harness.settled();
    const transitions: string[] = [];
    client.addEventListener('sessionTransition', ({ state }) => transitions.push(state));
    await harness.advance(60_000);
    expect(transitions).toEqual([]);
    const core = server.sessions.get(client.clientId)?.core;
    expect(core?.ledger.nextSeq).toBeGreaterThanOrEqual(11);
    expect(core?.ledger.nextSeq).toBeLessThanOrEqual(13);
    // The client says nothing but its answers.
    expect(core?.ledger.ack).toBe(core?.ledger.nextSeq);
    expect(core?.ledger.unackedCount).toBe(0);
  });
});
