import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { MsgpackCodec } from '../../codec/msgpack.ts';
import { systemClock } from '../../transport/clock.ts';
import { InvalidOptionsError } from '../../transport/errors.ts';
import { createMemoryNetwork } from '../../transport/impls/memory/network.ts';
import {
  type ClientTransportOptions,
  type ServerTransportOptions,
  settleClientOptions,
  settleServerOptions,
} from '../../transport/options.ts';

function messageOf(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionsError);
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS' });
    return error instanceof Error ? error.message : '';
  }
  throw new Error('expected the options to be refused');
}

describe('defaults', () => {
  test('are the documented ones', () => {
    expect(settleClientOptions({})).toMatchObject({
      heartbeatIntervalMs: 5_000,
      heartbeatsUntilDead: 2,
      sessionDisconnectGraceMs: 30_000,
      connectionTimeoutMs: 5_000,
      handshakeTimeoutMs: 5_000,
      enableTransparentSessionReconnects: true,
      codec: MsgpackCodec,
      maxMessageBytes: 1024 * 1024,
      maxStreamsPerSession: 1_000,
      extensions: { heartbeat: true, deadline: true },
      clock: systemClock,
      baseIntervalMs: 150,
      maxJitterMs: 200,
      maxBackoffMs: 32_000,
      attemptBudgetCapacity: Number.POSITIVE_INFINITY,
    });
    expect(settleClientOptions({}).isFatalConnectionError(new Error('any'))).toBe(false);
    expect(settleServerOptions({})).toMatchObject({
      duplicateClient: 'replace',
      maxSessions: expect.any(Number),
      maxPendingHandshakes: expect.any(Number),
      maxSessionBufferBytes: expect.any(Number),
    });
  });

  test('stand in for undefined, and nothing else', () => {
    const settled = settleServerOptions({
      heartbeatIntervalMs: undefined,
      codec: undefined,
      duplicateClient: undefined,
      extensions: { heartbeat: undefined, deadline: false },
      enableTransparentSessionReconnects: false,
      sessionDisconnectGraceMs: 0,
    });
    expect(settled).toMatchObject({
      heartbeatIntervalMs: 5_000,
      codec: MsgpackCodec,
      duplicateClient: 'replace',
      extensions: { heartbeat: true, deadline: false },
      enableTransparentSessionReconnects: false,
      sessionDisconnectGraceMs: 0,
    });
    expect(settleServerOptions({ codec: JsonCodec }).codec).toBe(JsonCodec);
  });
});

const contradictions: { name: string; options: ClientTransportOptions & ServerTransportOptions; says: string[] }[] = [
  {
    name: 'a grace shorter than connecting and handshaking take',
    options: { sessionDisconnectGraceMs: 9_999 },
    says: ['sessionDisconnectGraceMs', '9999', 'connectionTimeoutMs', '5000', 'handshakeTimeoutMs', '5000'],
  },
  {
    name: 'a grace shorter than a long connecting',
    options: { connectionTimeoutMs: 28_000, handshakeTimeoutMs: 2_001 },
    says: ['sessionDisconnectGraceMs', '30000', 'connectionTimeoutMs', '28000', 'handshakeTimeoutMs', '2001'],
  },
  {
    name: 'a high-water mark above the buffer',
    options: { sessionHighWaterBytes: 3_000_001, maxSessionBufferBytes: 3_000_000 },
    says: ['sessionHighWaterBytes', '3000001', 'maxSessionBufferBytes', '3000000'],
  },
  {
    name: 'a message larger than the buffer',
    options: { maxMessageBytes: 2_000_001, maxSessionBufferBytes: 2_000_000 },
    says: ['maxMessageBytes', '2000001', 'maxSessionBufferBytes', '2000000'],
  },
];

describe('options that contradict each other are refused with both names and values', () => {
  test.each(contradictions)('$name', ({ options, says }) => {
    for (const settle of [settleClientOptions, settleServerOptions]) {
      const message = messageOf(() => settle(options));
      for (const part of says) expect(message).toContain(part);
    }
  });

  test('a ceiling of the backoff below its beginning', () => {
    const message = messageOf(() => settleClientOptions({ maxBackoffMs: 99, baseIntervalMs: 100 }));
    for (const part of ['maxBackoffMs', '99', 'baseIntervalMs', '100']) expect(message).toContain(part);
  });

  test('what is just consistent is taken', () => {
    expect(() => settleClientOptions({ sessionDisconnectGraceMs: 10_000 })).not.toThrow();
    expect(() => settleClientOptions({ maxBackoffMs: 100, baseIntervalMs: 100 })).not.toThrow();
    expect(() =>
      settleServerOptions({
        sessionHighWaterBytes: 2_000_000,
        maxSessionBufferBytes: 2_000_000,
        maxMessageBytes: 2_000_000,
      }),
    ).not.toThrow();
    // Without reconnects there is nothing a short grace could contradict.
    expect(() =>
      settleServerOptions({ sessionDisconnectGraceMs: 1, enableTransparentSessionReconnects: false }),
    ).not.toThrow();
  });

  test('a transport is refused at its construction', () => {
    const network = createMemoryNetwork();
    expect(() => network.createServerTransport('SERVER', { sessionDisconnectGraceMs: 1 })).toThrow(InvalidOptionsError);
    expect(() => network.createClientTransport('client', { sessionDisconnectGraceMs: 1 })).toThrow(InvalidOptionsError);
  });
});

describe('options out of range are refused with their name and value', () => {
  const numbers = [
    'heartbeatIntervalMs',
    'heartbeatsUntilDead',
    'connectionTimeoutMs',
    'handshakeTimeoutMs',
    'maxMessageBytes',
    'maxSessionBufferBytes',
    'sessionHighWaterBytes',
    'maxStreamsPerSession',
    'ackAfterMessages',
    'ackAfterBytes',
  ] as const;

  test.each(numbers)('%s', (name) => {
    for (const value of [0, -1, Number.NaN, Number.NEGATIVE_INFINITY]) {
      for (const settle of [settleClientOptions, settleServerOptions]) {
        const message = messageOf(() => settle({ [name]: value }));
        expect(message).toContain(name);
        expect(message).toContain(String(value));
      }
    }
  });

  test.each(['baseIntervalMs', 'maxBackoffMs', 'attemptBudgetCapacity'] as const)('%s of a client', (name) => {
    for (const value of [0, -1, Number.NaN])
      expect(messageOf(() => settleClientOptions({ [name]: value }))).toContain(name);
  });

  test.each(['maxPendingHandshakes', 'maxSessions'] as const)('%s of a server', (name) => {
    for (const value of [0, -1, Number.NaN])
      expect(messageOf(() => settleServerOptions({ [name]: value }))).toContain(name);
  });

  test('a negative jitter or grace, while none at all is fine', () => {
    expect(messageOf(() => settleClientOptions({ maxJitterMs: -1 }))).toContain('maxJitterMs');
    expect(() => settleClientOptions({ maxJitterMs: 0 })).not.toThrow();
    const options = { sessionDisconnectGraceMs: -1, enableTransparentSessionReconnects: false };
    expect(messageOf(() => settleClientOptions(options))).toContain('sessionDisconnectGraceMs');
  });

  test('a number given as text', () => {
    const options: object = { heartbeatIntervalMs: '5000' };
    expect(messageOf(() => settleClientOptions(options))).toContain('heartbeatIntervalMs');
  });

  test('a mode for duplicate clients that does not exist', () => {
    const options: object = { duplicateClient: 'merge' };
    const message = messageOf(() => settleServerOptions(options));
    for (const part of ['duplicateClient', 'merge', 'replace', 'reject', 'coexist']) expect(message).toContain(part);
  });

  test('what a server announces must be what a client takes: whole numbers', () => {
    for (const options of [
      { heartbeatIntervalMs: 1_000.5 },
      { heartbeatsUntilDead: 2.5 },
      { heartbeatIntervalMs: Number.POSITIVE_INFINITY },
    ])
      expect(messageOf(() => settleServerOptions(options))).toContain(Object.keys(options)[0]);
  });
});
