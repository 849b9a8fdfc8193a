import { describe, expect, test } from 'vitest';
import { Phase } from '../../testUtil/sim/engine/eventHeap.ts';
import { Host } from '../../testUtil/sim/engine/host.ts';
import { Network } from '../../testUtil/sim/engine/network.ts';
import { type Random, randomFor } from '../../testUtil/sim/engine/random.ts';
import type { SimConnection } from '../../testUtil/sim/engine/simConnection.ts';
import { World } from '../../testUtil/sim/engine/world.ts';
import type { Connection } from '../../transport/connection.ts';

function makeHost(world: World, name: string, network = new Network(1)): Host {
  return new Host(world, { name, seed: 7, uplink: network, keepsJournal: true });
}

/** A client and a server with one pipe between them, and what the server reads unless `start` makes it do something else. */
async function connected(start: (server: Host) => void = () => undefined) {
  const world = new World();
  const network = new Network(3);
  const server = makeHost(world, 'SERVER', network);
  const client = makeHost(world, 'client-1', network);
  const read: number[] = [];
  let closes = 0;
  server.onAccept = (connection) =>
    void connection.attach({
      onData: (frame) => void read.push(frame[0] ?? -1),
      onClose: () => {
        closes += 1;
      },
    });
  server.take(start);
  network.listener = server;
  let near: Connection | undefined;
  client.take((host) => {
    host.dial('SERVER', {
      onOpen: (connection) => {
        near = connection;
      },
      onError: () => undefined,
    });
  });
  await world.runUntil(world.now + 500);
  const [pipe] = network.openPipesOf('client-1');
  if (near === undefined || pipe === undefined) throw new Error('no connection was made');
  return { world, network, server, client, near, pipe, read, closes: () => closes };
}

describe('time', () => {
  test('what is due at one moment runs as in an event loop: timers, input, then what waited for it', async () => {
    const world = new World();
    const host = makeHost(world, 'a');
    const order: string[] = [];
    const clock = host.time.for('transport');
    host.schedule(world.now + 5, Phase.Io, () => void order.push('input'));
    clock.after(5, () => {
      order.push('timer');
      clock.afterIo(() => void order.push('after input'));
    });
    await world.runUntil(world.now + 10);
    expect(order).toEqual(['timer', 'input', 'after input']);
  });

  test.each([
    [false, ['timer', 'second timer', 'input']],
    [true, ['input', 'timer', 'second timer']],
  ])('after a stall timers come before input, unless it reads first (%s)', async (readsFirst, expected) => {
    const world = new World();
    const host = makeHost(world, 'a');
    const order: string[] = [];
    const clock = host.time.for('application');
    clock.after(300, () => void order.push('second timer'));
    clock.after(200, () => void order.push('timer'));
    host.schedule(world.now + 100, Phase.Io, () => void order.push('input'));
    host.pause(1_000, readsFirst);
    await world.runUntil(world.now + 999);
    expect(order).toEqual([]);
    await world.runUntil(world.now + 1);
    expect(order).toEqual(expected);
  });

  test('promises come to rest between two events', async () => {
    const world = new World();
    const host = makeHost(world, 'a');
    const order: string[] = [];
    const chain = async (name: string) => {
      for (let i = 0; i < 5; i++) await undefined;
      order.push(name);
    };
    host.time.for('application').after(1, () => void chain('first'));
    host.time.for('application').after(1, () => void order.push('second'));
    await world.runUntil(world.now + 2);
    expect(order).toEqual(['first', 'second']);
  });
});

describe('randomness', () => {
  test('every purpose has a stream of its own', () => {
    const numbers = (random: Random) => [random.next(), random.next()];
    expect(numbers(randomFor(1, 'a'))).toEqual(numbers(randomFor(1, 'a')));
    expect(numbers(randomFor(1, 'a'))).not.toEqual(numbers(randomFor(1, 'b')));
    expect(numbers(randomFor(1, 'a'))).not.toEqual(numbers(randomFor(2, 'a')));
  });
});

describe('a pipe', () => {
  test('delivers in order, whatever the delays', async () => {
    const { world, client, near, pipe, read } = await connected();
    for (let i = 0; i < 100; i++) {
      pipe.slowUntil = world.now + (i % 3) * 10;
      pipe.slowMs = 50;
      client.take(() => void near.send(Uint8Array.of(i)));
      await world.runUntil(world.now + 3);
    }
    await world.runUntil(world.now + 1_000);
    expect(read).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('that is cut delivers a prefix, then the news of it', async () => {
    const { world, client, near, pipe, read, closes } = await connected();
    client.take(() => {
      for (let i = 0; i < 10; i++) near.send(Uint8Array.of(i));
    });
    pipe.cut({ prefix: 1, toldAfterMs: 0 }, { prefix: 0.5, toldAfterMs: 300 });
    await world.runUntil(world.now + 250);
    expect(read).toEqual([0, 1, 2, 3, 4]);
    expect(closes()).toBe(0);
    await world.runUntil(world.now + 500);
    expect(closes()).toBe(1);
  });

  test('that is blocked delivers everything once it is not, also to a connection that was closed meanwhile', async () => {
    const { world, server, client, near, pipe, read } = await connected();
    pipe.client.block();
    client.take(() => void near.send(Uint8Array.of(1)));
    await world.runUntil(world.now + 1_000);
    expect(read).toEqual([]);
    const [far] = server.connections;
    let arrived = 0;
    server.witness = {
      connectionOpened: () => undefined,
      frameSent: () => undefined,
      frameArrives: () => {
        arrived += 1;
      },
      connectionEnds: () => undefined,
      dialStarted: () => undefined,
    };
    server.take(() => far?.close());
    pipe.client.unblock();
    await world.runUntil(world.now + 1_000);
    expect([arrived, read]).toEqual([1, []]);
  });
});

describe('a copy of a process', () => {
  /** A program that counts: with its timers, its random numbers and what it read. */
  function start(host: Host, seen: Map<Host, string[]>): void {
    const lines: string[] = [];
    seen.set(host, lines);
    const clock = host.time.for('application');
    clock.every(100, () => void lines.push(`tick ${clock.now()} ${clock.random()}`));
    host.onAccept = (connection) =>
      void connection.attach({
        onData: (frame) => {
          lines.push(`read ${frame[0]}`);
          void Promise.resolve().then(() => lines.push(`sent ${connection.send(frame)}`));
        },
        onClose: () => void lines.push('closed'),
      });
  }

  test('has the memory the process had, and goes on with other randomness', async () => {
    const seen = new Map<Host, string[]>();
    const { world, network, server: original, client, near } = await connected((host) => start(host, seen));
    for (let i = 0; i < 5; i++) {
      client.take(() => void near.send(Uint8Array.of(i)));
      await world.runUntil(world.now + 130);
    }
    const memory = [...(seen.get(original) ?? [])];
    const count = original.journal?.length ?? 0;
    const copy = makeHost(world, 'SERVER', network);
    await copy.relive(original, count);
    expect(memory).toEqual(expect.arrayContaining(['read 4', 'sent true']));
    expect(seen.get(copy)).toEqual(memory);
    await world.runUntil(world.now + 300);
    const before = seen.get(original)?.slice(memory.length);
    const after = seen.get(copy)?.slice(memory.length);
    expect(after?.length).toBeGreaterThan(1);
    expect(after).not.toEqual(before);
    expect(copy.connections.every((connection: SimConnection) => connection.isEnded)).toBe(true);
  });
});
