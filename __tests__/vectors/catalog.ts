import type { AcceptedExtensions } from '../../transport/extensions.ts';
import {
  type HandshakeRequest,
  type HandshakeResponse,
  handshakeRequestMessage,
  handshakeResponseMessage,
  PROTOCOL_VERSION,
} from '../../transport/handshake.ts';
import {
  ackMessage,
  ControlFlags,
  cancelMessage,
  closeMessage,
  type KeyOnWire,
  NO_TRACE,
  type OutgoingMessage,
  rehandshakeRequest,
  rehandshakeResponse,
  type TransportMessage,
} from '../../transport/message.ts';
import type { Vector } from './vectors.ts';

/** One message, before it is encoded. */
export interface Entry {
  readonly file: 'handshake' | 'session' | 'calls' | 'values';
  readonly name: string;
  readonly direction: 'client to server' | 'server to client';
  readonly message: TransportMessage;
  readonly meaning: string;
}

const CLIENT = 'client-1';
const SERVER = 'SERVER';
const SESSION = 'session-AAAAAAAAAAAA';
const STREAM = 'stream000001';
/** 24 characters, as holdfast makes them. */
const TOKEN = 'token0000000000000000001';
const INSTANCE = 'instance0001';
const OPENS = ControlFlags.StreamOpen;
const OPENS_AND_CLOSES = ControlFlags.StreamOpen | ControlFlags.StreamClose;

/** Ids of one message: every one of the wire has the same, so that the bytes never change. */
function deterministicIds(): () => string {
  let next = 1;
  return () => `id${String(next++).padStart(10, '0')}`;
}

function request(name: string, meaning: string, fields: Partial<HandshakeRequest>, to = SERVER): Entry {
  const payload: HandshakeRequest = {
    type: 'HANDSHAKE_REQ',
    protocolVersion: PROTOCOL_VERSION,
    sessionId: SESSION,
    expectedSessionState: { nextExpectedSeq: 0, nextSentSeq: 0 },
    ...fields,
  };
  const message = handshakeRequestMessage(CLIENT, to, deterministicIds(), NO_TRACE, payload);
  return { file: 'handshake', name, direction: 'client to server', message, meaning };
}

function answer(name: string, meaning: string, status: HandshakeResponse['status']): Entry {
  const message = handshakeResponseMessage(SERVER, CLIENT, deterministicIds(), status);
  return { file: 'handshake', name, direction: 'server to client', message, meaning };
}

function accepted(name: string, meaning: string, extensions: AcceptedExtensions | undefined): Entry {
  const status = { ok: true as const, sessionId: SESSION };
  return answer(name, meaning, extensions === undefined ? status : { ...status, extensions });
}

function refused(code: string, meaning: string): Entry {
  return answer(`handshake refused: ${code}`, meaning, { ok: false, code, reason: 'for people' });
}

/** A message of a session, its fields in the order in which holdfast writes them. */
function sent(
  file: Entry['file'],
  by: 'client' | 'server',
  [seq, ack]: readonly [number, number],
  name: string,
  outgoing: OutgoingMessage & { deadline?: number; idempotency?: KeyOnWire },
  meaning: string,
): Entry {
  const { streamId, controlFlags, serviceName, procedureName, tracing, deadline, idempotency, payload } = outgoing;
  const message: TransportMessage = {
    id: deterministicIds()(),
    from: by === 'client' ? CLIENT : SERVER,
    to: by === 'client' ? SERVER : CLIENT,
    seq,
    ack,
    streamId,
    controlFlags,
    ...(serviceName === undefined ? {} : { serviceName, procedureName, tracing }),
    payload,
    ...(deadline === undefined ? {} : { deadline }),
    ...(idempotency === undefined ? {} : { idempotency }),
  };
  const direction = by === 'client' ? 'client to server' : 'server to client';
  return { file, name, direction, message, meaning };
}

function opening(procedure: string, controlFlags: number, init: unknown): OutgoingMessage {
  const [serviceName, procedureName] = procedure.split('.');
  return { streamId: STREAM, controlFlags, serviceName, procedureName, tracing: NO_TRACE, payload: init };
}

function data(payload: unknown, controlFlags = 0): OutgoingMessage {
  return { streamId: STREAM, controlFlags, payload };
}

function failed(code: string, message: string, extras?: unknown): unknown {
  return { ok: false, payload: extras === undefined ? { code, message } : { code, message, extras } };
}

const firstOffer = { token: TOKEN, everConnected: false, nextSeq: 0 };
const laterOffer = { token: TOKEN, everConnected: true, instance: INSTANCE, nextSeq: 7 };

const handshakes: Entry[] = [
  request('request without extensions', 'A River v2.0 client, or one that offers nothing, begins a session.', {}),
  request('request with metadata', 'Credentials, as the application wants them.', { metadata: { token: 'abc' } }),
  request('request to resume without extensions', 'Goes on with a session: expects 3 next, keeps from 1 on.', {
    expectedSessionState: { nextExpectedSeq: 3, nextSentSeq: 1 },
  }),
  request('request that offers heartbeat', 'The offer is an empty object.', { extensions: { heartbeat: {} } }),
  request('request that offers deadline', 'The offer is an empty object.', { extensions: { deadline: {} } }),
  request('request that offers idempotency', 'The offer is an empty object.', { extensions: { idempotency: {} } }),
  request('request that offers resume, first', 'A new session: never answered, no instance known, nothing sent.', {
    extensions: { resume: firstOffer },
  }),
  request('request that offers resume, later', 'The same session again, after an answer: its instance, next seq 7.', {
    expectedSessionState: { nextExpectedSeq: 5, nextSentSeq: 4 },
    extensions: { resume: laterOffer },
  }),
  request('request that offers everything', 'As a holdfast client begins a session.', {
    extensions: { heartbeat: {}, deadline: {}, resume: firstOffer },
  }),
  accepted('answer without extensions', 'To a request without extensions, or by a River v2.0 server.', undefined),
  accepted('answer that accepts nothing', 'The server speaks extensions, but none of those offered.', {}),
  accepted('answer that accepts heartbeat', 'Beats every 5000 ms, gives up after 2 unanswered ones.', {
    heartbeat: { intervalMs: 5000, misses: 2 },
  }),
  accepted('answer that accepts deadline', 'Opening messages may carry a deadline.', { deadline: {} }),
  accepted(
    'answer that accepts idempotency',
    'Outcomes are kept for ten minutes, and no longer than the process lives.',
    {
      idempotency: { instance: 'memory000001', ttlMs: 600_000, durable: false },
    },
  ),
  accepted('answer that accepts resume, first', 'The server is this instance; nothing was sent either way.', {
    resume: { instance: INSTANCE, nextExpectedSeq: 0, oldestUnackedSeq: 0, nextSeq: 0 },
  }),
  accepted('answer that accepts resume, later', 'It expects 6 next, keeps from 5 on, and would send 9 next.', {
    resume: { instance: INSTANCE, nextExpectedSeq: 6, oldestUnackedSeq: 5, nextSeq: 9 },
  }),
  accepted('answer that accepts everything', 'As a holdfast server answers a holdfast client.', {
    heartbeat: { intervalMs: 5000, misses: 2 },
    deadline: {},
    resume: { instance: INSTANCE, nextExpectedSeq: 0, oldestUnackedSeq: 0, nextSeq: 0 },
  }),
  refused('SESSION_STATE_MISMATCH', 'The two halves do not fit, or the token is wrong. The only retriable code.'),
  refused('MALFORMED_HANDSHAKE', 'The request has the wrong shape or receiver.'),
  refused('MALFORMED_HANDSHAKE_META', 'The metadata has the wrong shape.'),
  refused('PROTOCOL_VERSION_MISMATCH', 'Another version than v2.0.'),
  refused('REJECTED_BY_CUSTOM_HANDLER', 'The application refused, or the client id belongs to somebody else.'),
  refused('REJECTED_UNSUPPORTED_CLIENT', 'The application refuses this kind of client.'),
  refused('SESSION_REPLACED', 'Another session of this client took its place. Only to a request with extensions.'),
];

const sessions: Entry[] = [
  sent('session', 'server', [1, 1], 'heartbeat of the server', ackMessage(), 'Must be answered with one like it.'),
  sent('session', 'client', [1, 2], 'heartbeat answered by the client', ackMessage(), 'Is not answered.'),
  sent('session', 'client', [4, 200], 'explicit acknowledgement', ackMessage(), 'A heartbeat without a beat.'),
  sent('session', 'server', [1, 1], 're-handshake request', rehandshakeRequest(), 'Asks for fresh metadata.'),
  sent('session', 'client', [1, 2], 're-handshake answer', rehandshakeResponse({ token: 'abc' }), 'Fresh metadata.'),
  sent('session', 'client', [1, 2], 're-handshake answer without metadata', rehandshakeResponse(undefined), 'None.'),
  sent(
    'session',
    'server',
    [Number.MAX_SAFE_INTEGER - 1, 2 ** 32],
    'large counters',
    ackMessage(),
    'Counters are integers up to 2^53-1; above 2^32-1 MessagePack writes them as doubles.',
  ),
];

const calls: Entry[] = [
  sent('calls', 'client', [0, 0], 'rpc', opening('math.add', OPENS_AND_CLOSES, { n: 3 }), 'Opens and closes.'),
  sent(
    'calls',
    'client',
    [0, 0],
    'rpc with a trace',
    {
      ...opening('math.add', OPENS_AND_CLOSES, { n: 3 }),
      tracing: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=b' },
    },
    'W3C trace context.',
  ),
  sent(
    'calls',
    'client',
    [0, 0],
    'rpc with a deadline',
    { ...opening('math.add', OPENS_AND_CLOSES, { n: 3 }), deadline: 29_998 },
    'Only where the deadline extension was accepted: 29 998 ms of session time.',
  ),
  sent(
    'calls',
    'client',
    [0, 0],
    'rpc with an idempotency key, first attempt',
    { ...opening('math.add', OPENS_AND_CLOSES, { n: 3 }), idempotency: { key: 'order-7' } },
    'Only where the idempotency extension was accepted.',
  ),
  sent(
    'calls',
    'client',
    [0, 0],
    'rpc with an idempotency key, repeat',
    {
      ...opening('math.add', OPENS_AND_CLOSES, { n: 3 }),
      deadline: 29_998,
      idempotency: { key: 'order-7', instance: 'memory000001', until: 560_000 },
    },
    'The first attempt went to that memory, which knows of it until 560 000 ms of session time.',
  ),
  sent(
    'calls',
    'server',
    [0, 1],
    'outcome unknown',
    cancelMessage(STREAM, failed('OUTCOME_UNKNOWN', 'the first attempt went to another memory')),
    'To a repeat; nothing was executed by it.',
  ),
  sent('calls', 'server', [0, 1], 'result', data({ ok: true, payload: { result: 3 } }, 8), 'The one result of an rpc.'),
  sent('calls', 'server', [0, 1], 'result that is undefined', data({ ok: true }, 8), 'The payload is absent.'),
  sent(
    'calls',
    'server',
    [0, 1],
    'declared error',
    data(failed('DIV_BY_ZERO', 'cannot divide by zero', { dividend: 1 }), 8),
    'A result like any other.',
  ),
  sent(
    'calls',
    'client',
    [0, 0],
    'upload or stream',
    opening('flow.sum', OPENS, { multiplier: 2 }),
    'Requests follow.',
  ),
  sent('calls', 'client', [1, 0], 'request', data({ value: 1 }), 'A value of an open request half.'),
  sent(
    'calls',
    'client',
    [2, 0],
    'last request',
    data({ value: 2 }, ControlFlags.StreamClose),
    'Closes its half, too.',
  ),
  sent('calls', 'client', [3, 0], 'close control of the client', closeMessage(STREAM), 'Closes the request half.'),
  sent('calls', 'server', [0, 1], 'response', data({ ok: true, payload: { i: 0 } }), 'One of many results.'),
  sent('calls', 'server', [3, 1], 'close control of the server', closeMessage(STREAM), 'Closes the response half.'),
  sent(
    'calls',
    'client',
    [1, 3],
    'cancel of the client',
    cancelMessage(STREAM, failed('CANCEL', 'cancelled by client')),
    'Ends both halves.',
  ),
  sent(
    'calls',
    'server',
    [0, 1],
    'cancel of the server',
    cancelMessage(STREAM, failed('CANCEL', 'server says no')),
    'Ends both halves; also at a deadline.',
  ),
  sent(
    'calls',
    'server',
    [0, 1],
    'uncaught error',
    cancelMessage(STREAM, failed('UNCAUGHT_ERROR', 'internal server error')),
    'The handler threw, or its answer cannot be sent.',
  ),
  sent(
    'calls',
    'server',
    [0, 1],
    'invalid request',
    cancelMessage(STREAM, failed('INVALID_REQUEST', 'procedure init failed validation')),
    'To a peer without extensions: no extras.',
  ),
  sent(
    'calls',
    'server',
    [0, 1],
    'invalid request with extras',
    cancelMessage(
      STREAM,
      failed('INVALID_REQUEST', 'procedure init failed validation', {
        firstValidationErrors: [{ path: '/n', message: 'Expected number' }],
        totalErrors: 1,
      }),
    ),
    'Only to a peer with extensions.',
  ),
  sent(
    'calls',
    'server',
    [0, 1],
    'session buffer full',
    cancelMessage(STREAM, failed('SESSION_BUFFER_FULL', 'the session holds too many unacknowledged bytes')),
    'Only to a peer with extensions.',
  ),
];

function value(name: string, payload: unknown, meaning: string): Entry {
  return sent('values', 'server', [0, 1], name, data({ ok: true, payload }, ControlFlags.StreamClose), meaning);
}

const values: Entry[] = [
  value('null, booleans', [null, false, true], 'One byte each in MessagePack.'),
  value('integers', [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1], 'The shortest unsigned form.'),
  value('negative integers', [-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31)], 'The shortest signed form.'),
  value('large integers', [2 ** 32, Number.MAX_SAFE_INTEGER, -(2 ** 31) - 1], 'Doubles in MessagePack.'),
  value('fractions', [0.5, -0.1, 1e21], 'Doubles.'),
  value('texts', ['', 'héllo 🇧🇪', 'a'.repeat(31), 'a'.repeat(32)], 'UTF-8; the last ones are fixstr and str 8.'),
  value('escaped texts', ['"\\\n\u0001'], 'What JSON must escape.'),
  value('bytes', [new Uint8Array([0, 42, 255]), new Uint8Array()], 'bin in MessagePack, a tag in JSON.'),
  value('bigints', [5n, -1n, 300n, 2n ** 32n, 2n ** 53n, 2n ** 60n], 'Extension 0 in MessagePack, a tag in JSON.'),
  value('look-alikes', [{ $b: '5' }, { $b: '5', $e: '' }, { $t: 'ACr/' }], 'User data: escaped in JSON.'),
  value('no look-alikes', [{ $b: 'x' }, { $t: 'ACr' }, { $b: '5', note: 1 }, { $e: '' }], 'User data: as it is.'),
  value('a key like any other', { ['__proto__']: 1, '': 2 }, 'No key is special.'),
];

/** Every message there is a vector of. */
export const catalog: readonly Entry[] = [...handshakes, ...sessions, ...calls, ...values];

function bad(name: string, codec: Vector['codec'], frame: string | Uint8Array, meaning: string): Vector {
  const bytes = typeof frame === 'string' && codec === 'json' ? Buffer.from(frame) : frame;
  const hex = typeof bytes === 'string' ? bytes.replaceAll(' ', '') : Buffer.from(bytes).toString('hex');
  return { name, codec, direction: 'client to server', hex, meaning };
}

/** Frames that either side must refuse. */
export const malformed: readonly Vector[] = [
  bad('nothing', 'json', '', 'An empty frame is no message.'),
  bad('cut off', 'json', '{"a":', 'Truncated.'),
  bad('followed by bytes', 'json', '{}{}', 'Exactly one value.'),
  bad('byte order mark', 'json', '\ufeff{}', 'No byte order mark.'),
  bad('no UTF-8', 'json', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'Text is UTF-8.'),
  bad('NaN', 'json', '{"a":NaN}', 'No JSON.'),
  bad('too deep', 'json', `${'['.repeat(65)}${']'.repeat(65)}`, 'At most 64 levels.'),
  bad('too long a bigint', 'json', `{"a":{"$b":"1${'0'.repeat(10_000)}"}}`, 'At most 10 000 digits.'),
  bad('nothing', 'msgpack', '', 'An empty frame is no message.'),
  bad('cut off', 'msgpack', '81 a1 61', 'Truncated.'),
  bad('followed by bytes', 'msgpack', '80 80', 'Exactly one value.'),
  bad('unused token', 'msgpack', '81 a1 61 c1', 'c1 is never used.'),
  bad('a key that is no string', 'msgpack', '81 01 01', 'Keys are strings.'),
  bad('no UTF-8', 'msgpack', '81 a1 ff 01', 'Text is UTF-8.'),
  bad('unknown extension', 'msgpack', '81 a1 61 d4 05 00', 'Only 0 and -1.'),
  bad('unsafe integer', 'msgpack', '81 a1 61 cf 00 20 00 00 00 00 00 00', '2^53 as a uint 64.'),
  bad('a header that claims too much', 'msgpack', 'df ff ff ff ff', 'More items than bytes are left.'),
  bad('a bigint that is no decimal', 'msgpack', '81 a1 61 c7 03 00 a2 30 35', '05 is not canonical.'),
  bad('too deep', 'msgpack', `${'91'.repeat(65)}c0`, 'At most 64 levels.'),
];
