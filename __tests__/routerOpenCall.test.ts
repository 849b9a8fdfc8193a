import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { type LiveProcedure, openCall, type Routes } from '../router/openCall.ts';
import { Procedure } from '../router/procedures.ts';
import { Ok } from '../router/result.ts';
import { createRoutes } from '../router/routes.ts';
import { createServiceSchema } from '../router/services.ts';
import { Tombstones } from '../router/tombstones.ts';
import type { IncomingMessage } from '../transport/message.ts';
import { incoming } from './support/fakePort.ts';

const services = {
  math: createServiceSchema().define({
    add: Procedure.rpc({
      requestInit: Type.Object({ n: Type.Number(), more: Type.Optional(Type.Array(Type.Number())) }),
      responseData: Type.Object({}),
      handler: () => Ok({}),
    }),
  }),
};
const { routes } = createRoutes(services, {}, []);
const opening = { serviceName: 'math', procedureName: 'add', controlFlags: 10, payload: { n: 1 } };

function open(fields: Partial<IncomingMessage>, isGone = false, speaksExtensions = false) {
  return openCall(incoming({ ...opening, ...fields }), routes, isGone, speaksExtensions);
}

describe('an opening message', () => {
  test('that names a procedure and fits its schema begins a call', () => {
    const result = open({});
    expect(result.kind).toBe('call');
    if (result.kind === 'call') expect(result.procedure).toMatchObject({ serviceName: 'math', procedureName: 'add' });
  });

  test('begins an rpc even if it does not close its half', () => {
    expect(open({ controlFlags: 2 }).kind).toBe('call');
  });

  test.each<[string, Partial<IncomingMessage>, string]>([
    ['an unknown service', { serviceName: 'nope' }, "couldn't find service nope"],
    ['an unknown procedure', { procedureName: 'nope' }, "couldn't find a matching procedure for math.nope"],
    ['no service', { serviceName: undefined }, 'missing service name'],
    ['no procedure', { procedureName: undefined }, 'missing procedure name'],
    ['no flag that opens', { controlFlags: 0 }, 'does not open'],
    ['a close for a call that never was', { controlFlags: 8, payload: { type: 'CLOSE' } }, 'does not open'],
    ['the stream of heartbeats', { streamId: 'heartbeat' }, 'reserved'],
    ['the stream of re-handshakes', { streamId: 'rehandshake' }, 'reserved'],
    ['an endless stream id', { streamId: 'x'.repeat(257) }, 'longer than 256'],
    [
      'a payload of another shape',
      { payload: { n: 'three' } },
      'procedure init failed validation: /n: Expected number',
    ],
    ['no payload', { payload: undefined }, 'procedure init failed validation'],
  ])('with %s is an invalid request', (_what, fields, message) => {
    const result = open(fields);
    expect(result).toMatchObject({ kind: 'rejected', error: { code: 'INVALID_REQUEST' } });
    if (result.kind === 'rejected') expect(result.error.message).toContain(message);
  });

  test.each(['toString', '__proto__', 'constructor', 'hasOwnProperty', 'valueOf', ''])(
    'finds nothing under the name %j',
    (name) => {
      expect(open({ serviceName: name }).kind).toBe('rejected');
      expect(open({ procedureName: name }).kind).toBe('rejected');
    },
  );

  test('does not send a name of any length back', () => {
    const result = open({ serviceName: 'x'.repeat(100_000) });
    expect(JSON.stringify(result).length).toBeLessThan(300);
  });

  test('tells a River peer in words what it tells others in extras', () => {
    const payload = { n: 1, more: Array.from({ length: 500 }, () => 'x') };
    const river = open({ payload });
    if (river.kind !== 'rejected') throw new Error('expected a rejection');
    expect(Object.keys(river.error).sort()).toEqual(['code', 'message']);
    expect(river.error.message).toContain('/more/0: Expected number');
    const other = open({ payload }, false, true);
    if (other.kind !== 'rejected') throw new Error('expected a rejection');
    expect(other.error).toMatchObject({ message: 'procedure init failed validation', extras: { totalErrors: 100 } });
    const { firstValidationErrors } = other.error.extras as { firstValidationErrors: unknown[] }; // matched just above
    expect(firstValidationErrors).toHaveLength(10);
    expect(firstValidationErrors[0]).toEqual({ path: '/more/0', message: 'Expected number' });
  });
});

describe('a late message', () => {
  test.each<[string, Partial<IncomingMessage>, boolean]>([
    ['of a stream that is gone', { controlFlags: 0 }, true],
    ['that closes a stream that is gone', { controlFlags: 8 }, true],
    ['that opens a stream that is gone again', {}, true],
    ['that cancels what has ended', { controlFlags: 4 }, false],
    ['that opens and cancels at once', { controlFlags: 6 }, false],
  ])('%s is ignored', (_what, fields, isGone) => {
    expect(open(fields, isGone)).toEqual({ kind: 'ignored' });
  });
});

describe('routes', () => {
  test('take names like any other from objects that have them as their own', () => {
    const named = Object.defineProperty({}, '__proto__', { value: services.math, enumerable: true });
    const own: Routes = createRoutes({ toString: services.math, ...(named as object) }, {}, []).routes;
    expect(own.get('toString')?.get('add')).toBeDefined();
    expect(own.get('valueOf')).toBeUndefined();
  });

  test('refuse a name that no client can call', () => {
    expect(() => createRoutes(Object.fromEntries([['then', services.math]]), {}, [])).toThrow("'then'");
  });

  test('make one state per service and server', () => {
    const states: unknown[] = [];
    const service = createServiceSchema<{ tag: string }>().define(
      {
        initializeState: (context: { tag: string }) => {
          const state = { tag: context.tag };
          states.push(state);
          return state;
        },
      },
      {},
    );
    const live = createRoutes({ a: service, b: service }, { tag: 'x' }, []);
    expect(states).toEqual([{ tag: 'x' }, { tag: 'x' }]);
    expect(live.services['a']?.state).toBe(states[0]);
  });

  test('put the middlewares of the server around those of the service', () => {
    const outer = () => undefined;
    const inner = () => undefined;
    const service = createServiceSchema()
      .middleware(inner)
      .define({
        add: Procedure.rpc({ requestInit: Type.Object({}), responseData: Type.Object({}), handler: () => Ok({}) }),
      });
    const procedure: LiveProcedure | undefined = createRoutes({ s: service }, {}, [outer]).routes.get('s')?.get('add');
    expect(procedure?.middlewares).toEqual([outer, inner]);
  });
});

describe('tombstones', () => {
  test('remember the latest of a bounded number', () => {
    const tombstones = new Tombstones(2);
    for (const id of ['a', 'b', 'a', 'c']) tombstones.add(id);
    expect(['a', 'b', 'c'].map((id) => tombstones.has(id))).toEqual([true, false, true]);
  });

  test('of none remember nothing', () => {
    const tombstones = new Tombstones(0);
    tombstones.add('a');
    expect(tombstones.has('a')).toBe(false);
  });
});
