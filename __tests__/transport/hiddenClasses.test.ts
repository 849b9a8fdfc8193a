import { setFlagsFromString } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { createMemoryNetwork } from '../../transport/impls/memory/network.ts';

/*
 * An object whose hidden class is its own is read slowly wherever many such objects pass: a lookup by name, a
 * microsecond each. In V8 before 12 every object has one that was written as `{ ...other, more }`.
 */

setFlagsFromString('--allow-natives-syntax');
const isSameHiddenClass = new Function('a', 'b', 'return %HaveSameMap(a, b)') as (a: object, b: object) => boolean; // no types there

/** V8 tells such objects apart from the ninth on. */
const MANY = 30;

/** How many of so many objects have another hidden class than the one before. */
function strangers(objects: readonly object[]): number {
  return objects.filter((object, i) => !isSameHiddenClass(object, objects[i - 1] ?? object)).length;
}

describe('what is read with every message has one hidden class', () => {
  const network = createMemoryNetwork();
  const transports = {
    clients: Array.from({ length: MANY }, () => network.createClientTransport()),
    servers: Array.from({ length: MANY }, (_, n) => network.createServerTransport(`SERVER-${n}`)),
  };

  test.each(['clients', 'servers'] as const)('in the options of many %s', (side) => {
    expect(strangers(transports[side].map(({ options }) => options))).toBe(0);
  });

  test('in the environments and events of many clients', () => {
    const cores = transports.clients.map((client) => {
      client.connect('SERVER-0');
      const session = client.sessions.get('SERVER-0');
      if (session === undefined) throw new Error('expected a session');
      return session.core;
    });
    expect(strangers(cores)).toBe(0);
    expect(strangers(cores.map(({ env }) => env))).toBe(0);
    expect(strangers(cores.map(({ env }) => env.owner))).toBe(0);
    for (const transport of [...transports.clients, ...transports.servers]) transport.close();
  });
});
