import { describe, expect, test } from 'vitest';
import type { TransportMessage } from '../../transport/message.ts';
import { messageOf } from '../support/barePeer.ts';
import { expectMemoryBack, liveBytes } from './support/memory.ts';
import { kinds, Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks": 100 000 streams in one session; frames for closed or unknown streams. What a
 * River client hears for each kind of late frame: routerWire.test.ts.
 */

/** 100 000 with every test, fewer in a hurry: the limit is 1 000. */
const STREAMS = process.env['HOLDFAST_TEST_ALL'] === '1' ? 100_000 : 4_000;

const wait = { controlFlags: 10, serviceName: 'math', procedureName: 'wait', payload: {} };
const add = { controlFlags: 10, serviceName: 'math', procedureName: 'add', payload: { n: 1 } };

/** The error in a cancel. */
function codeOf({ controlFlags, payload }: TransportMessage): unknown {
  if (controlFlags !== 4) return undefined;
  return (payload as { payload: { code: string } }).payload.code; // a cancel carries an error result
}

describe.each(kinds)('a session over %s', (kind) => {
  async function setup() {
    const site = await Site.open(kind);
    const peer = await site.dial();
    await peer.handshake();
    let seq = 0;
    let ack = 0;
    return {
      site,
      peer,
      send: (fields: object) => peer.send(messageOf({ seq: seq++, ack, ...fields })),
      /** The next message that is no beat. */
      async answer(): Promise<TransportMessage> {
        for (;;) {
          const message = await peer.next();
          ack = message.seq + 1;
          if ((message.controlFlags & 1) === 0) return message;
        }
      },
      async [Symbol.asyncDispose]() {
        peer.close();
        await site[Symbol.asyncDispose]();
      },
    };
  }

  test(`that opens ${STREAMS} streams keeps 1 000, is refused the rest one by one, and lives`, async () => {
    await using set = await setup();
    let refused = 0;
    for (let n = 0; n < STREAMS; n += 500) {
      for (let k = n; k < n + 500; k++) set.send({ streamId: `s${k}`, ...wait });
      if (n < 1_000) continue;
      for (let k = 0; k < 500; k++) if (codeOf(await set.answer()) === 'INVALID_REQUEST') refused += 1;
      set.peer.messages.fill(emptyMessage, 0); // heard; a test must not be what keeps the memory
    }
    expect(refused).toBe(STREAMS - 1_000);
    const open = [...set.site.server.streams.values()].filter(({ from }) => from === 'client-1');
    expect(open).toHaveLength(1_000);
    // One ends: there is room for one again.
    set.send({ streamId: 's0', controlFlags: 4, payload: { ok: false, payload: { code: 'CANCEL', message: '' } } });
    set.send({ streamId: 'room', ...add });
    expect(await set.answer()).toMatchObject({ streamId: 'room', payload: { ok: true, payload: { result: 1 } } });
  }, 120_000);

  test('that sends to streams nobody knows gets one error each, and the server keeps a bounded memory of them', async () => {
    await using set = await setup();
    const name = (n: number) => `${n}`.padEnd(250, 'x');
    const flood = async (from: number, count: number) => {
      for (let n = from; n < from + count; n += 250) {
        for (let k = n; k < n + 250; k++) set.send({ streamId: name(k), payload: 'late' });
        for (let k = 0; k < 250; k++) expect(codeOf(await set.answer())).toBe('INVALID_REQUEST');
        set.peer.messages.fill(emptyMessage, 0);
      }
    };
    await flood(0, 1_000);
    const before = await liveBytes();
    await flood(1_000, 5_000);
    await expectMemoryBack(before);
    // The same stream again and again: told once, then ignored.
    for (let n = 0; n < 100; n++) set.send({ streamId: 'again', payload: 'late' });
    set.send({ streamId: 'last', ...add });
    expect(await set.answer()).toMatchObject({ streamId: 'again', controlFlags: 4 });
    expect(await set.answer()).toMatchObject({ streamId: 'last', payload: { ok: true } });
  }, 30_000);

  test('that goes on after its call has ended hears nothing of it, and the next call is served', async () => {
    await using set = await setup();
    set.send({ streamId: 'done', ...add });
    expect(await set.answer()).toMatchObject({ streamId: 'done', payload: { ok: true } });
    const echo = { controlFlags: 2, serviceName: 'flow', procedureName: 'echo', payload: { prefix: '' } };
    set.send({ streamId: 'cancelled', ...echo });
    set.send({ streamId: 'cancelled', payload: 'of the wrong shape' });
    expect(codeOf(await set.answer())).toBe('INVALID_REQUEST');
    for (let n = 0; n < 1_000; n++) set.send({ streamId: 'cancelled', payload: { msg: 'late' } });
    set.send({ streamId: 'next', ...add });
    expect(await set.answer()).toMatchObject({ streamId: 'next', payload: { ok: true } });
  });
});

const emptyMessage: TransportMessage = {
  id: '',
  from: '',
  to: '',
  seq: 0,
  ack: 0,
  streamId: '',
  controlFlags: 1,
  payload: undefined,
};
