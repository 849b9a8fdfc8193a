import { inspect } from 'node:util';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import { BoundLogger, coloredStringLogger, jsonLogger, type LogFields, type LogLevel } from '../../transport/log.ts';
import { BarePeer, messageOf } from '../support/barePeer.ts';
import { Echo, Recorder } from '../support/ports.ts';

const levels: LogLevel[] = ['debug', 'info', 'warn', 'error'];

describe('a logger', () => {
  test.each(levels)('bound at %s hears that level and those above it', (least) => {
    const heard: string[] = [];
    const logger = new BoundLogger();
    logger.bind((message, _fields, level) => heard.push(`${level} ${message}`), least);
    for (const level of levels) logger.log(level, 'line', {});
    const expected = levels.slice(levels.indexOf(least));
    expect(heard).toEqual(expected.map((level) => `${level} line`));
    expect(levels.filter((level) => logger.enabled(level))).toEqual(expected);
  });

  test('that nobody is bound to is switched off', () => {
    const logger = new BoundLogger();
    expect(levels.some((level) => logger.enabled(level))).toBe(false);
    expect(() => logger.log('error', 'line', {})).not.toThrow();
  });

  test('hears info and above where no level is given, and only the sink that was bound last', () => {
    const heard: string[] = [];
    const logger = new BoundLogger();
    logger.bind(() => heard.push('first'));
    logger.bind((_message, _fields, level) => heard.push(level));
    for (const level of levels) logger.log(level, 'line', {});
    expect(heard).toEqual(['info', 'warn', 'error']);
  });
});

describe('a sink on the console', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const circular: LogFields = { clientId: 'us', connectedTo: 'them', sessionId: 's', error: new Error('why') };

  test('in JSON writes one object a line, on the method of its level', () => {
    for (const level of levels) {
      const lines: unknown[] = [];
      vi.spyOn(console, level).mockImplementation((line: unknown) => lines.push(line));
      jsonLogger('what', circular, level);
      expect(lines).toHaveLength(1);
      expect(JSON.parse(String(lines[0]))).toMatchObject({
        level,
        message: 'what',
        clientId: 'us',
        sessionId: 's',
        error: { name: 'Error', message: 'why' },
      });
      expect(String(lines[0])).not.toContain('\n');
    }
  });

  test('in colour names both ends, the text and what else there is', () => {
    const lines: string[] = [];
    vi.spyOn(console, 'warn').mockImplementation((line: unknown) => void lines.push(String(line)));
    coloredStringLogger('what', circular, 'warn');
    expect(lines).toHaveLength(1);
    for (const part of ['warn', 'us → them', 'what', '"sessionId":"s"', 'why']) expect(lines[0]).toContain(part);
  });

  test('in colour keeps a line one line, and commands to the terminal text', () => {
    const lines: string[] = [];
    vi.spyOn(console, 'warn').mockImplementation((line: unknown) => void lines.push(String(line)));
    coloredStringLogger('one\ntwo\u001b[2J', { connectedTo: 'a\r\u0007b' }, 'warn');
    expect(lines[0]).toContain('[a\\u000d\\u0007b] one\\u000atwo\\u001b[2J');
    expect(lines[0]).not.toContain('\n');
  });

  test('writes what is thrown even where it is no error', () => {
    const lines: string[] = [];
    vi.spyOn(console, 'error').mockImplementation((line: unknown) => void lines.push(String(line)));
    for (const error of ['text', 5, null, { odd: true }]) {
      jsonLogger('what', { error }, 'error');
      coloredStringLogger('what', { error }, 'error');
    }
    expect(lines).toHaveLength(8);
  });
});

describe.each(matrix)('what is logged over $name', ({ transport, codec }) => {
  test('holds no payload, no metadata, no cookie and no authorisation, at any level', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    const server = harness.server();
    const echo = new Echo(server);
    const client = harness.client({}, 'client-1');
    const logged: unknown[] = [];
    for (const side of [server, client]) side.bindLogger((...line) => logged.push(line), 'debug');
    server.setHandshake({
      checkMetadata: (metadata) => (metadata === 'SECRET malformed' ? 'expected a token' : undefined),
      validate: (metadata) => (metadata === 'SECRET refused' ? 'REJECTED_BY_CUSTOM_HANDLER' : { token: metadata }),
    });
    client.setHandshake({ construct: () => 'SECRET token' });
    const call = new Recorder(client.openSession('SERVER'), 's1');
    call.open('SECRET request');
    await harness.settled();
    const session = client.sessions.get('SERVER');
    if (session?.state === 'Connected') session.connection.break(new Error('cut'));
    call.send('SECRET message');
    await harness.advance(1_000);
    server.requestRehandshake('client-1');
    await harness.settled();
    for (const metadata of ['SECRET malformed', 'SECRET refused']) {
      using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      await peer.handshake({ from: 'other', metadata });
    }
    using odd = new BarePeer(await harness.link.dial('SERVER'), codec);
    await odd.handshake({ from: 'odd', sessionId: 'odd', metadata: 'SECRET odd' });
    odd.send(messageOf({ from: 'odd', ack: 9, payload: 'SECRET violation' }));
    await odd.closed();
    using garbled = new BarePeer(await harness.link.dial('SERVER'), codec);
    await garbled.handshake({ from: 'odd', sessionId: 'odd', metadata: 'SECRET odd' });
    garbled.sendBytes(new TextEncoder().encode('{"SECRET": "garbage"'));
    await garbled.closed();
    if (transport === 'ws') {
      const headers = { cookie: 'session=SECRET', authorization: 'Bearer SECRET' };
      const ws = new WebSocket(harness.link.address, { headers });
      await new Promise((resolve) => ws.once('open', resolve));
      ws.send('SECRET, and no message');
      await new Promise((resolve) => ws.once('close', resolve));
    }
    await harness.settled();
    expect(call.payloads).toEqual(['SECRET request', 'SECRET message']);
    expect(logged.length).toBeGreaterThan(10);
    expect(inspect(logged, { depth: 8, maxArrayLength: null, maxStringLength: null })).not.toContain('SECRET');
    call.end();
    echo.end();
  });
});
