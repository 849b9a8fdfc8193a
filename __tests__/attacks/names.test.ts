import { afterEach, describe, expect, test } from 'vitest';
import { JsonCodec, MsgpackCodec } from '../../codec/index.ts';
import { createClient } from '../../router/client.ts';
import { messageOf } from '../support/barePeer.ts';
import type { Services } from '../support/routerServices.ts';
import { kinds, Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks": names that objects have already, and data that looks like a tag. Codec by codec:
 * codec.test.ts ("the key __proto__ is data") and jsonCodec.test.ts ("tags", "escapes"). Here: through a whole server.
 */

const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then', 'prototype', '__defineGetter__'];
const before = [Object.prototype, Array.prototype, Function.prototype, Map.prototype].map((prototype) => ({
  prototype,
  keys: Reflect.ownKeys(prototype),
}));

afterEach(() => {
  for (const { prototype, keys } of before) expect(Reflect.ownKeys(prototype)).toEqual(keys);
  expect({}.toString).toBe(Object.prototype.toString);
});

const matrix = kinds.flatMap((kind) => [JsonCodec, MsgpackCodec].map((codec) => ({ kind, codec })));

describe.each(matrix)('names that objects have already, over $kind in $codec.name', ({ kind, codec }) => {
  async function setup() {
    const site = await Site.open(kind);
    const peer = await site.dial(codec);
    await peer.handshake();
    let seq = 0;
    return {
      site,
      peer,
      /** Opens a call and returns what is answered. */
      async call(streamId: string, serviceName: string, procedureName: string, payload: unknown) {
        peer.send(messageOf({ seq: seq++, streamId, controlFlags: 10, serviceName, procedureName, payload }));
        return peer.next();
      },
      async [Symbol.asyncDispose]() {
        peer.close();
        await site[Symbol.asyncDispose]();
      },
    };
  }

  test('are unknown services and procedures', async () => {
    await using set = await setup();
    for (const name of names) {
      for (const [service, procedure] of [
        [name, 'add'],
        ['math', name],
        [name, name],
      ] as const) {
        const answer = await set.call(`${service}.${procedure}`, service, procedure, {});
        expect(answer).toMatchObject({ controlFlags: 4, payload: { ok: false, payload: { code: 'INVALID_REQUEST' } } });
      }
    }
  });

  test('are streams like any other', async () => {
    await using set = await setup();
    for (const name of names) {
      const answer = await set.call(name, 'math', 'types', { name });
      expect(answer).toMatchObject({ streamId: name, payload: { ok: true, payload: { name } } });
    }
  });

  test('are data as keys, at every depth', async () => {
    await using set = await setup();
    for (const name of names) {
      const inner = Object.fromEntries([[name, { isAdmin: true }]]);
      const payload = { inner, list: [inner], ...Object.fromEntries([[name, 'outer']]) };
      // Named as own properties: an object literal or an assignment would set a prototype.
      Object.defineProperty(payload, name, { value: 'outer', enumerable: true, configurable: true, writable: true });
      const { payload: result } = await set.call(`key ${name}`, 'math', 'types', payload);
      const [, echoed] = Object.entries(result as object).find(([key]) => key === 'payload') ?? [];
      expect(Object.keys(echoed).sort()).toEqual(['inner', 'list', name].sort());
      expect(Object.getOwnPropertyDescriptor(echoed.inner, name)?.value).toEqual({ isAdmin: true });
      expect(Object.getPrototypeOf(echoed.inner)).toBe(Object.prototype);
      expect({}).not.toHaveProperty('isAdmin');
    }
  });

  test('are client ids and session ids like any other', async () => {
    await using site = await Site.open(kind);
    for (const name of names) {
      using peer = await site.dial(codec);
      expect(await peer.handshake({ from: name, sessionId: name })).toMatchObject({ ok: true, sessionId: name });
      expect(site.transport.sessions.get(name)?.id).toBe(name);
    }
  });

  test('are extensions and metadata that nobody asked for', async () => {
    await using site = await Site.open(kind);
    const odd = JSON.parse('{"__proto__": {"isAdmin": true}, "constructor": {}, "toString": {}}');
    using peer = await site.dial(codec);
    expect(await peer.handshake({ extensions: odd, metadata: odd })).toMatchObject({ ok: true, extensions: {} });
    expect({}).not.toHaveProperty('isAdmin');
  });

  test('user data that looks like a tag of the codec arrives as it was', async () => {
    await using site = await Site.open(kind);
    const transport = site.client({ codec }, 'client-1');
    const client = createClient<Services>(transport);
    for (const data of [
      { $t: 5 },
      { $b: 'x' },
      { $t: 'AAAA' },
      { $b: '5' },
      { $b: '5', $e: '' },
      { $t: 'not base64', more: true },
      { deep: [{ $b: '007' }, { $t: null }, { $e: '$' }] },
    ]) {
      expect(await client.math.types.rpc(data)).toEqual({ ok: true, payload: data });
    }
    transport.close();
  });
});
