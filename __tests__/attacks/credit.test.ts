import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/index.ts';
import { createServer } from '../../router/server.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { encodeCompact, encodeCompactFrame } from '../../transport/compact.ts';
import type { Credit } from '../../transport/compactLayout.ts';
import { CompactFrameReader } from '../../transport/compactReader.ts';
import type { OutgoingMessage } from '../../transport/message.ts';
import { MalformedFrame } from '../../transport/wire.ts';
import { BarePeer } from '../support/barePeer.ts';
import { services } from '../support/routerServices.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

/*
 * Of the table "Bad input and attacks": what a peer says about flow control is checked before it is believed, and what it
 * was not granted it cannot use.
 */

const WINDOW = 4_000;

/** A server, and a peer that speaks compact frames by hand. */
async function setup(extensions: object = { compact: {}, credit: { windowBytes: 10 * WINDOW } }) {
  const harness = await createHarness({ transport: 'memory', codec: JsonCodec });
  const transport = harness.server({ readableHighWaterBytes: WINDOW });
  const server = createServer(transport, services);
  const log = new TransportEventLog(transport);
  const peer = new BarePeer(await harness.link.dial('SERVER'), JsonCodec);
  const status = await peer.handshake({ extensions });
  const credits: Credit[] = [];
  let messages = 0;
  let [seq, ack] = [-1, 0];
  let isClosed = false;
  peer.connection.attach({
    onData(frame) {
      const reader = CompactFrameReader.open(JsonCodec, frame, seq, ack);
      if (reader instanceof MalformedFrame) throw new Error(reader.reason);
      for (; reader.hasMore; messages++) reader.next();
      credits.push(...reader.credits);
      [seq, ack] = [reader.nextSeq, reader.ack];
    },
    onClose: () => {
      isClosed = true;
    },
  });
  let sent = 0;
  return {
    harness,
    status,
    server,
    log,
    credits,
    /** Messages that came since the last time. */
    received(): number {
      const count = messages;
      messages = 0;
      return count;
    },
    isClosed: () => isClosed,
    session: () => transport.sessions.get('client-1'),
    /** Sends a frame of these messages, and what it grants. */
    say(said: readonly OutgoingMessage[], granted: readonly Credit[] = []): void {
      const encoded = said.map((message) => encodeCompact(JsonCodec, message, undefined, 1 << 20));
      peer.sendBytes(encodeCompactFrame(sent, 0, 0, encoded, granted));
      sent += said.length;
    },
    async [Symbol.asyncDispose]() {
      peer.close();
      await server.close();
      await harness[Symbol.asyncDispose]();
    },
  };
}

const open: OutgoingMessage = {
  streamId: '1',
  controlFlags: 2,
  serviceName: 'flow',
  procedureName: 'sum',
  payload: { multiplier: 1 },
};
const value = (text: string): OutgoingMessage => ({ streamId: '1', controlFlags: 0, payload: { value: 1, text } });
const subscribe = (to: number): OutgoingMessage => ({
  ...open,
  controlFlags: 10,
  procedureName: 'count',
  payload: { to },
});

describe('a peer that was granted a window', () => {
  test('may fill it and one message more, as long as nobody reads', async () => {
    await using set = await setup();
    expect(set.status).toMatchObject({ ok: true, extensions: { credit: { windowBytes: WINDOW } } });
    set.say([open, value('x'.repeat(WINDOW - 500)), value('x'.repeat(WINDOW))]);
    await set.harness.settled();
    expect(set.session()?.state).toBe('Connected');
    expect(set.log.errors).toEqual([]);
  });

  test('loses its session if it sends more than that within one turn, before anybody could read', async () => {
    await using set = await setup();
    // The first is read at once: its reader waits for it.
    set.say([open, value('x'.repeat(2 * WINDOW)), value('x'.repeat(2 * WINDOW)), value('more')]);
    await set.harness.settled();
    expect(set.session()).toBeUndefined();
    expect(set.isClosed()).toBe(true);
    expect(set.log.errors).toMatchObject([{ message: expect.stringContaining('beyond its limit of 12') }]);
  });

  test('is granted what was read, once enough of it was', async () => {
    await using set = await setup();
    set.say([open, value('x'.repeat(WINDOW / 2))]);
    await set.harness.settled();
    const [credit, ...others] = set.credits;
    expect(others).toEqual([]);
    expect(credit?.stream).toBe(1);
    expect(credit?.limit).toBeGreaterThan(WINDOW * 1.5);
    expect(credit?.limit).toBeLessThan(WINDOW * 1.6);
  });
});

describe('limits that a peer says', () => {
  test('bound what it is sent', async () => {
    await using set = await setup({ compact: {}, credit: { windowBytes: 1_000 } });
    set.say([subscribe(100)]);
    await set.harness.settled();
    const first = set.received();
    expect(first).toBeGreaterThan(5);
    expect(first).toBeLessThan(15);
    set.say([], [{ stream: 1, limit: 2_000 }]);
    await set.harness.settled();
    const second = set.received();
    expect(second).toBeGreaterThan(5);
    expect(second).toBeLessThan(15);
  });

  test.each([
    ['of streams that nobody opened', [{ stream: 77, limit: 5_000 }]],
    ['of stream 0', [{ stream: 0, limit: 5_000 }]],
    ['that are lower than before', [{ stream: 1, limit: 10 }]],
    ['ten thousand times the same', Array.from({ length: 10_000 }, () => ({ stream: 5, limit: 5 }))],
  ])('%s mean nothing', async (_what, credits) => {
    await using set = await setup({ compact: {}, credit: { windowBytes: 100_000 } });
    set.say([subscribe(20)], credits);
    await set.harness.settled();
    expect(set.session()?.state).toBe('Connected');
    expect(set.received()).toBe(21);
  });

  test('nobody agreed on end the session', async () => {
    await using set = await setup({ compact: {} });
    set.say([subscribe(20)], [{ stream: 1, limit: 5_000 }]);
    await set.harness.settled();
    expect(set.session()).toBeUndefined();
    expect(set.log.errors).toMatchObject([{ message: expect.stringContaining('nobody agreed on') }]);
  });

  test('of a number that is larger than the frame make room for nothing', () => {
    const frame = encodeCompactFrame(0, 0, 0, [], [{ stream: 1, limit: 5 }]);
    frame[3] = 127;
    const reader = CompactFrameReader.open(JsonCodec, frame);
    expect(reader).toBeInstanceOf(MalformedFrame);
  });
});

test('credit without compact is not accepted: nothing could carry it', async () => {
  await using set = await setup({ credit: { windowBytes: WINDOW } });
  expect(set.status).toMatchObject({ ok: true, extensions: {} });
  expect(set.status).not.toHaveProperty('extensions.credit');
});
