import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { processError, stringify } from 'vitest/internal/browser';
import { StaleHandleError } from '../../transport/errors.ts';
import { type BaseState, SessionState } from '../../transport/session/common.ts';
import { createHandle } from '../../transport/session/revocable.ts';
import { SessionNoConnection } from '../../transport/session/SessionNoConnection.ts';
import * as transitions from '../../transport/session/transitions.ts';
import { edges, StateBench, states } from '../support/states.ts';

/** Readable on a stale handle for whoever identifies or prints it. */
const readable = new Set<string | symbol>(['id', 'state', '_isConsumed', 'then', 'toJSON', 'constructor']);

/** Everything that can be read of an object: its own names and those of its classes. */
function namesOf(object: object): (string | symbol)[] {
  const names = new Set<string | symbol>();
  for (let at: object | null = object; at !== null && at !== Object.prototype; at = Reflect.getPrototypeOf(at))
    for (const name of Reflect.ownKeys(at)) names.add(name);
  return [...names].filter((name) => !readable.has(name));
}

interface Taken {
  name: string | symbol;
  method: () => unknown;
}

/** Every method, taken off the handle without being called. */
function methodsOf(handle: object): Taken[] {
  return namesOf(handle).flatMap((name) => {
    const method: unknown = Reflect.get(handle, name);
    return typeof method === 'function' ? [{ name, method: () => Reflect.apply(method, handle, []) as unknown }] : [];
  });
}

/** What is thrown, or fails where nothing is. */
function thrownBy(fn: () => unknown): unknown {
  try {
    fn();
  } catch (error) {
    return error;
  }
  throw new Error('expected it to throw');
}

function expectStale(fn: () => unknown, property: string | symbol): void {
  const error = thrownBy(fn);
  expect(error).toBeInstanceOf(StaleHandleError);
  expect(error).toMatchObject({ code: 'STALE_HANDLE', message: expect.stringContaining(`'${String(property)}'`) });
}

/** A way in which the state is left, and every handle that is stale afterwards. */
interface Leaving {
  name: string;
  leave(): Record<string, { handle: BaseState; state: string; names: (string | symbol)[]; methods: Taken[] }>;
}

function remembered(handles: Record<string, BaseState>) {
  return Object.fromEntries(
    Object.entries(handles).map(([role, handle]) => [
      role,
      { handle, state: handle.state, names: namesOf(handle), methods: methodsOf(handle) },
    ]),
  );
}

const byTransition: Leaving[] = Object.entries(edges).map(([name, edge]) => ({
  name,
  leave() {
    const { before, go } = edge(new StateBench());
    const handles = remembered(before);
    go();
    return handles;
  },
}));

const byClosing: Leaving[] = Object.entries(states).map(([name, make]) => ({
  name: `close() of ${name}`,
  leave() {
    const handle = make(new StateBench());
    const handles = remembered({ old: handle });
    handle.close();
    return handles;
  },
}));

const leavings = [...byTransition, ...byClosing].filter((leaving) => !leaving.name.startsWith('create'));

describe('the cases of these tests', () => {
  test('cover every edge that transitions.ts exports', () => {
    const exported = Object.entries(transitions)
      .filter(([, value]) => typeof value === 'function')
      .map(([name]) => name);
    expect(Object.keys(edges).sort()).toEqual(exported.sort());
  });

  test('cover every state', () => {
    expect(Object.keys(states).sort()).toEqual(Object.values(SessionState).sort());
    for (const [name, make] of Object.entries(states)) expect(make(new StateBench()).state).toBe(name);
  });
});

describe.each(Object.entries(states))('a live handle of %s', (_name, make) => {
  test('lets everything through', () => {
    const handle = make(new StateBench());
    expect(namesOf(handle).length).toBeGreaterThan(4);
    for (const name of namesOf(handle)) expect(() => Reflect.get(handle, name)).not.toThrow();
    expect('onEnter' in handle).toBe(true);
    expect(Reflect.ownKeys(handle)).toContain('state');
    expect(Reflect.getOwnPropertyDescriptor(handle, 'state')?.value).toBe(handle.state);
    expect(Reflect.set(handle, 'noted', 1)).toBe(true);
    expect(Reflect.get(handle, 'noted')).toBe(1);
    expect(Reflect.deleteProperty(handle, 'noted')).toBe(true);
    expect(Reflect.defineProperty(handle, 'noted', { value: 2 })).toBe(true);
    expect(handle._isConsumed).toBe(false);
  });

  test('gives out the same method every time it is read', () => {
    const handle = make(new StateBench());
    const methods = namesOf(handle).filter((name) => typeof Reflect.get(handle, name) === 'function');
    expect(methods.length).toBeGreaterThan(2);
    for (const name of methods) expect(Reflect.get(handle, name)).toBe(Reflect.get(handle, name));
  });
});

describe.each(leavings)('after $name', ({ leave }) => {
  const stale = () => Object.values(leave());

  test('reading any property of the old handle throws', () => {
    for (const { handle, names } of stale()) {
      for (const name of names) expectStale(() => Reflect.get(handle, name), name);
      expectStale(() => Reflect.get(handle, 'neverThere'), 'neverThere');
      expectStale(() => Reflect.get(handle, Symbol('private')), 'Symbol(private)');
    }
  });

  test('setting, looking for, deleting and defining a property throw', () => {
    for (const { handle, names } of stale()) {
      for (const name of [...names, 'id', 'state', '_isConsumed', 'neverThere']) {
        expectStale(() => Reflect.set(handle, name, 1), name);
        expectStale(() => Reflect.deleteProperty(handle, name), name);
        expectStale(() => Reflect.defineProperty(handle, name, { value: 1 }), name);
      }
      for (const name of [...names, 'neverThere']) expectStale(() => name in handle, name);
    }
  });

  test('listing and describing properties, changing the prototype and freezing throw', () => {
    for (const { handle, names } of stale()) {
      expectStale(() => Reflect.ownKeys(handle), '*');
      expectStale(() => Object.keys(handle), '*');
      expectStale(() => ({ ...handle }), '*');
      expectStale(() => Object.entries(handle), '*');
      for (const name of [...names, 'id', 'state'])
        expectStale(() => Reflect.getOwnPropertyDescriptor(handle, name), name);
      expectStale(() => Reflect.setPrototypeOf(handle, null), '*');
      expectStale(() => Reflect.preventExtensions(handle), '*');
      expectStale(() => Object.freeze(handle), '*');
    }
  });

  test('a method taken earlier throws', () => {
    for (const { methods } of stale()) {
      expect(methods.length).toBeGreaterThan(2);
      for (const { name, method } of methods) expectStale(method, name);
    }
  });

  test('id, state and _isConsumed stay readable', () => {
    for (const { handle, state } of stale()) {
      expect(Reflect.get(handle, 'id')).toMatch(/^(session|connection)-1$/);
      expect(handle.state).toBe(state);
      expect(handle._isConsumed).toBe(true);
      expect('state' in handle).toBe(true);
    }
  });

  test('awaiting and printing the old handle do not throw', async () => {
    for (const { handle, state } of stale()) {
      expect((await handle) === handle).toBe(true);
      expect((await Promise.all([handle]))[0] === handle).toBe(true);
      expect(JSON.parse(JSON.stringify({ handle }))).toMatchObject({ handle: { state, _isConsumed: true } });
      for (const options of [{}, { showProxy: true }, { showHidden: true, depth: 4 }, { getters: true }])
        expect(inspect(handle, options)).toContain(state);
      expect(format('%s %o %O %j', handle, handle, handle, handle)).toContain(state);
      const lines: string[] = [];
      const stream = new Writable({
        write(chunk, _encoding, done) {
          lines.push(String(chunk));
          done();
        },
      });
      new Console(stream).log(handle, [handle], { handle });
      expect(lines.join('')).toContain(state);
    }
  });

  test('turning the old handle into a string does not throw', () => {
    for (const { handle } of stale()) {
      expect(`${String(handle)}${handle as unknown as string}`).not.toBe('');
      expect(Object.prototype.toString.call(handle)).toMatch(/^\[object /);
    }
  });

  test('a failing assertion about the old handle fails as an assertion', () => {
    const handles = [...stale(), ...stale()].map(({ handle }) => handle);
    const [handle, other] = [handles[0], handles.at(-1)];
    const failing: [name: string, () => void][] = [
      ['toBe a number', () => expect(handle).toBe(3)],
      ['toBe an object', () => expect(handle).toBe({})],
      ['an object toBe', () => expect({}).toBe(handle)],
      ['toBe another stale handle', () => expect(handle).toBe(other)],
      ['toBeUndefined', () => expect(handle).toBeUndefined()],
      ['toEqual', () => expect(handle).toEqual({ state: 'X' })],
      ['an object toEqual', () => expect({ state: 'X' }).toEqual(handle)],
      ['toEqual another stale handle', () => expect(handle).toEqual(other)],
      ['toStrictEqual', () => expect(handle).toStrictEqual({})],
      ['toEqual inside an object', () => expect({ handle }).toEqual({ handle: {} })],
      ['toEqual inside an array', () => expect([handle]).toEqual([1])],
      ['toContain', () => expect([1]).toContain(handle)],
    ];
    const wrong = failing.flatMap(([name, fails]) => {
      const error = thrownBy(fails);
      if (!(error instanceof Error && error.name === 'AssertionError')) return [`${name}: ${String(error)}`];
      // What the runner does with it: values are printed and compared line by line.
      const shown = processError(error);
      return shown.name === 'AssertionError' ? [] : [`${name}, in the report: ${String(shown.message)}`];
    });
    expect(wrong).toEqual([]);
    expect(stringify(handle)).not.toBe('');
  });
});

describe('inside a state', () => {
  test('getters, setters and methods run on the state itself, not on the handle', () => {
    class Probe {
      readonly state = 'Probe';
      readonly _isConsumed = false;
      #secret = 1;
      get self(): unknown {
        return this;
      }
      get secret(): number {
        return this.#secret;
      }
      set secret(value: number) {
        this.#secret = value;
      }
      me(): unknown {
        return this;
      }
    }
    const raw = new Probe();
    const handle = createHandle(raw);
    expect(handle === raw).toBe(false);
    expect(handle.self === raw).toBe(true);
    expect(handle.me() === raw).toBe(true);
    handle.secret = 2;
    expect(raw.secret).toBe(2);
  });

  test('a method that is replaced on the handle is called in its new form', () => {
    const raw = { state: 'Probe', _isConsumed: false, answer: () => 1 };
    const handle = createHandle(raw);
    expect(handle.answer()).toBe(1);
    handle.answer = () => 2;
    expect(handle.answer()).toBe(2);
  });

  test('a method that goes on after an await cannot touch the core, which has moved on', async () => {
    class Slow extends SessionNoConnection {
      async readLater(gate: Promise<void>): Promise<unknown> {
        await gate;
        return this.core.ledger;
      }
      async writeLater(gate: Promise<void>): Promise<void> {
        await gate;
        this.core.metadata = {};
      }
    }
    const bench = new StateBench();
    const core = bench.core();
    const slow = new Slow(core);
    slow.onEnter();
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const results = Promise.allSettled([slow.readLater(gate), slow.writeLater(gate)]);
    const next = transitions.noConnectionToBackingOff(slow.handle, 10);
    open();
    for (const result of await results)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'STALE_HANDLE' } });
    expect(next.core).toBe(core);
    expect(core.metadata).toBeUndefined();
  });

  test('the moved core names the state it was moved from', () => {
    const bench = new StateBench();
    const raw = new SessionNoConnection(bench.core());
    raw.release();
    expect(() => raw.core.id).toThrow(/no longer NoConnection/);
    expect(() => raw.to).toThrow(StaleHandleError);
  });
});

describe.each(leavings)('leaving by $name', ({ name }) => {
  test('ends every timer and listener of the state', () => {
    const bench = new StateBench();
    const edge = edges[name];
    if (edge !== undefined) {
      const { go } = edge(bench);
      const made = go();
      // Not entered yet, so nothing of the new state's runs either.
      expect(bench.timers).toBe(0);
      made.onEnter();
      expect(bench.timers).toBeGreaterThan(0);
      made.close();
    } else {
      const state = states[name.replace('close() of ', '')]?.(bench);
      expect(bench.timers).toBeGreaterThan(0);
      state?.close();
    }
    expect(bench.timers).toBe(0);
    const reportedBefore = bench.reported.length;
    for (const connection of bench.connections) connection.hear(new Uint8Array([1]));
    expect(bench.reported).toHaveLength(reportedBefore);
  });
});

describe('what a transition does not hand on', () => {
  test('is closed: the connection', () => {
    for (const name of ['handshakingToNoConnection', 'connectedToNoConnection', 'waitingAndConnectedToConnected']) {
      const bench = new StateBench();
      const { go } = edges[name]?.(bench) ?? { go: () => undefined };
      const [old] = name.startsWith('waiting') ? bench.connections.slice(1) : bench.connections;
      expect(old?.isEnded).toBe(false);
      go();
      expect(old?.isEnded).toBe(true);
      // One that is replaced is not waited for.
      expect(old?.endedBy).toBe(name.startsWith('waiting') ? 'terminate' : 'close');
    }
  });

  test('is abandoned: the dial', () => {
    const bench = new StateBench();
    edges['connectingToNoConnection']?.(bench).go();
    expect(bench.abandonedDials).toBe(1);
    bench.connecting().close();
    expect(bench.abandonedDials).toBe(2);
  });

  test('what it does hand on stays open', () => {
    for (const name of [
      'connectingToHandshaking',
      'handshakingToConnected',
      'waitingToConnected',
      'waitingAndNoConnectionToConnected',
    ]) {
      const bench = new StateBench();
      edges[name]?.(bench).go();
      expect(bench.abandonedDials).toBe(0);
      expect(bench.connections.map((connection) => connection.isEnded)).toEqual([false]);
    }
  });
});
