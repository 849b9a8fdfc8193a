import type { Codec } from '../codec/codec.ts';
import { MsgpackCodec } from '../codec/msgpack.ts';
import { type BufferBudget, processBudget } from './budget.ts';
import { type Clock, systemClock } from './clock.ts';
import { InvalidOptionsError } from './errors.ts';
import type { OpenTelemetryApi } from './telemetry.ts';

/** Which extensions to speak with a peer that speaks them too. All are on unless switched off here. */
export interface ExtensionOptions {
  /** The server announces its heartbeat interval. */
  heartbeat?: boolean | undefined;
  /** Calls carry their deadline. */
  deadline?: boolean | undefined;
  /** Frames of many messages, without what the session implies. Default true. */
  compact?: boolean | undefined;
  /** Flow control stream by stream: a slow reader holds up its own writer and nobody else. Needs `compact`. */
  credit?: boolean | undefined;
  /** Calls may carry an idempotency key; a server accepts it where it keeps outcomes. */
  idempotency?: boolean | undefined;
  /** A session proves whose it is, and that neither side has lost its memory of it. */
  resume?: boolean | undefined;
}

/** Options of both roles. Durations are milliseconds, sizes are bytes of encoded messages. */
export interface TransportOptions {
  /** The server's beat. Towards a peer without the `heartbeat` extension never more than 1 000. Default 5 000. */
  heartbeatIntervalMs?: number | undefined;
  /** Unanswered beats after which a connection is given up. Default 2. */
  heartbeatsUntilDead?: number | undefined;
  /** How long a session outlives its connection. Default 30 000. */
  sessionDisconnectGraceMs?: number | undefined;
  /** Bound of one dial. Default 5 000. */
  connectionTimeoutMs?: number | undefined;
  /** Bound of one handshake, validation included. Default 5 000. */
  handshakeTimeoutMs?: number | undefined;
  /** False: a session ends with its connection. Default true. */
  enableTransparentSessionReconnects?: boolean | undefined;
  /** A server answers in whichever codec a connection's first frame is in; this one is for frames in neither. Default MessagePack. */
  codec?: Codec | undefined;
  /** Largest message sent or accepted. Default 1 MiB. */
  maxMessageBytes?: number | undefined;
  /** Most that one session keeps for a peer that does not confirm. Default 16 MiB. */
  maxSessionBufferBytes?: number | undefined;
  /** `write` returns false, and `waitForWriteReady` waits, while more than this is unconfirmed. Default 1 MiB. */
  sessionHighWaterBytes?: number | undefined;
  /**
   * How far a writer may be ahead of its reader on one stream. With a peer that speaks `credit` it is what the peer may
   * send, in cost: a message's bytes and 64 more. Default 256 KiB.
   */
  readableHighWaterBytes?: number | undefined;
  /** Most that one stream keeps for a peer that does not read it; one message more is refused. Default 4 MiB. */
  maxStreamBufferBytes?: number | undefined;
  /** What all sessions may hold together. Default: one of 256 MiB, which all transports of the process share. */
  budget?: BufferBudget | undefined;
  /** Open calls of one session. Default 1 000. */
  maxStreamsPerSession?: number | undefined;
  /** Received messages after which an acknowledgement is sent without waiting for a heartbeat. Default 128. */
  ackAfterMessages?: number | undefined;
  /** Received bytes after which an acknowledgement is sent without waiting for a heartbeat. Default 16 KiB. */
  ackAfterBytes?: number | undefined;
  extensions?: ExtensionOptions | undefined;
  /** The namespace of `@opentelemetry/api`; no spans without it. */
  telemetry?: OpenTelemetryApi | undefined;
  /** Time, timers, randomness and ids. Default: the platform's. */
  clock?: Clock | undefined;
}

/** {@link TransportOptions}, and how a client dials. */
export interface ClientTransportOptions extends TransportOptions {
  /** Backoff before the second attempt; doubles with each further one. Default 150. */
  baseIntervalMs?: number | undefined;
  /** Random addition to each backoff. Default 200. */
  maxJitterMs?: number | undefined;
  /** Ceiling of the backoff. Default 32 000. */
  maxBackoffMs?: number | undefined;
  /** Failed attempts, connections that did not hold included, after which the client gives up by itself. Default unlimited. */
  attemptBudgetCapacity?: number | undefined;
  /** True for an error of a dial that no further dial can mend. Default: none is. */
  isFatalConnectionError?: ((error: unknown) => boolean) | undefined;
}

/** {@link TransportOptions}, and what a server admits. */
export interface ServerTransportOptions extends TransportOptions {
  /** Connections that have not finished their handshake; one more is closed at once. Default 16 384. */
  maxPendingHandshakes?: number | undefined;
  /** Bytes of a handshake request; of a longer one nothing is read, and its connection is closed. Default 65 536. */
  maxHandshakeBytes?: number | undefined;
  /** Live sessions; a handshake that would add one is answered with a retriable failure. Default 100 000. */
  maxSessions?: number | undefined;
  /** What a second session with one client id, of the same principal, does. Default `replace`. */
  duplicateClient?: 'replace' | 'reject' | 'coexist' | undefined;
}

type Settled<T, Optional extends keyof T> = {
  readonly [K in Exclude<keyof T, Optional>]-?: Exclude<T[K], undefined>;
} & {
  readonly [K in Optional]: T[K];
};

/** Options with every default filled in. */
export type SettledTransportOptions = Settled<Required<TransportOptions>, 'telemetry'> & {
  readonly extensions: {
    readonly heartbeat: boolean;
    readonly deadline: boolean;
    readonly compact: boolean;
    readonly credit: boolean;
    readonly idempotency: boolean;
    readonly resume: boolean;
  };
};
/** Client options with every default filled in. */
export type SettledClientOptions = SettledTransportOptions &
  Settled<Required<Omit<ClientTransportOptions, keyof TransportOptions>>, never>;
/** Server options with every default filled in. */
export type SettledServerOptions = SettledTransportOptions &
  Settled<Required<Omit<ServerTransportOptions, keyof TransportOptions>>, never>;

const positive = [
  'heartbeatIntervalMs',
  'heartbeatsUntilDead',
  'connectionTimeoutMs',
  'handshakeTimeoutMs',
  'maxMessageBytes',
  'maxSessionBufferBytes',
  'sessionHighWaterBytes',
  'readableHighWaterBytes',
  'maxStreamBufferBytes',
  'maxStreamsPerSession',
  'ackAfterMessages',
  'ackAfterBytes',
] as const;

/** What one side tells the other travels as an integer. */
const announced = ['heartbeatIntervalMs', 'heartbeatsUntilDead', 'readableHighWaterBytes'] as const;

function checkNumber(name: string, value: number, least: number): void {
  // NaN fails the comparison too.
  if (!(typeof value === 'number' && value >= least)) {
    throw new InvalidOptionsError(`${name}: expected a number ≥ ${least}, got ${String(value)}`);
  }
}

function settleCommon(options: TransportOptions): SettledTransportOptions {
  const settled: SettledTransportOptions = {
    heartbeatIntervalMs: options.heartbeatIntervalMs ?? 5_000,
    heartbeatsUntilDead: options.heartbeatsUntilDead ?? 2,
    sessionDisconnectGraceMs: options.sessionDisconnectGraceMs ?? 30_000,
    connectionTimeoutMs: options.connectionTimeoutMs ?? 5_000,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 5_000,
    enableTransparentSessionReconnects: options.enableTransparentSessionReconnects ?? true,
    codec: options.codec ?? MsgpackCodec,
    maxMessageBytes: options.maxMessageBytes ?? 1024 * 1024,
    maxSessionBufferBytes: options.maxSessionBufferBytes ?? 16 * 1024 * 1024,
    sessionHighWaterBytes: options.sessionHighWaterBytes ?? 1024 * 1024,
    readableHighWaterBytes: options.readableHighWaterBytes ?? 256 * 1024,
    maxStreamBufferBytes: options.maxStreamBufferBytes ?? 4 * 1024 * 1024,
    budget: options.budget ?? processBudget,
    maxStreamsPerSession: options.maxStreamsPerSession ?? 1_000,
    ackAfterMessages: options.ackAfterMessages ?? 128,
    ackAfterBytes: options.ackAfterBytes ?? 16 * 1024,
    extensions: {
      heartbeat: options.extensions?.heartbeat ?? true,
      deadline: options.extensions?.deadline ?? true,
      compact: options.extensions?.compact ?? true,
      credit: options.extensions?.credit ?? true,
      idempotency: options.extensions?.idempotency ?? true,
      resume: options.extensions?.resume ?? true,
    },
    telemetry: options.telemetry,
    clock: options.clock ?? systemClock,
  };
  for (const name of positive) checkNumber(name, settled[name], 1);
  for (const name of announced) {
    if (!Number.isSafeInteger(settled[name])) {
      throw new InvalidOptionsError(`${name}: expected a whole number, got ${settled[name]}`);
    }
  }
  checkNumber('sessionDisconnectGraceMs', settled.sessionDisconnectGraceMs, 0);
  const { sessionDisconnectGraceMs: grace, connectionTimeoutMs, handshakeTimeoutMs } = settled;
  if (settled.enableTransparentSessionReconnects && grace < connectionTimeoutMs + handshakeTimeoutMs) {
    throw new InvalidOptionsError(
      `sessionDisconnectGraceMs (${grace}) is shorter than connectionTimeoutMs (${connectionTimeoutMs}) and ` +
        `handshakeTimeoutMs (${handshakeTimeoutMs}) together: no reconnect could finish in time`,
    );
  }
  if (settled.sessionHighWaterBytes > settled.maxSessionBufferBytes) {
    throw new InvalidOptionsError(
      `sessionHighWaterBytes (${settled.sessionHighWaterBytes}) exceeds maxSessionBufferBytes (${settled.maxSessionBufferBytes})`,
    );
  }
  if (settled.maxMessageBytes > settled.maxSessionBufferBytes) {
    throw new InvalidOptionsError(
      `maxMessageBytes (${settled.maxMessageBytes}) exceeds maxSessionBufferBytes (${settled.maxSessionBufferBytes})`,
    );
  }
  return settled;
}

/**
 * Fills in the defaults of a client.
 * @throws {InvalidOptionsError} with the names and values that are out of range or contradict each other
 */
export function settleClientOptions(options: ClientTransportOptions): SettledClientOptions {
  // Not spread into a new object: in V8 before 12 each would have a hidden class of its own, and every read of it would be slow.
  const settled = Object.assign(settleCommon(options), {
    baseIntervalMs: options.baseIntervalMs ?? 150,
    maxJitterMs: options.maxJitterMs ?? 200,
    maxBackoffMs: options.maxBackoffMs ?? 32_000,
    attemptBudgetCapacity: options.attemptBudgetCapacity ?? Number.POSITIVE_INFINITY,
    isFatalConnectionError: options.isFatalConnectionError ?? (() => false),
  });
  checkNumber('baseIntervalMs', settled.baseIntervalMs, 1);
  checkNumber('maxJitterMs', settled.maxJitterMs, 0);
  checkNumber('maxBackoffMs', settled.maxBackoffMs, 1);
  if (settled.maxBackoffMs < settled.baseIntervalMs) {
    throw new InvalidOptionsError(
      `maxBackoffMs (${settled.maxBackoffMs}) is below baseIntervalMs (${settled.baseIntervalMs})`,
    );
  }
  checkNumber('attemptBudgetCapacity', settled.attemptBudgetCapacity, 1);
  return settled;
}

/**
 * Fills in the defaults of a server.
 * @throws {InvalidOptionsError} with the names and values that are out of range or contradict each other
 */
export function settleServerOptions(options: ServerTransportOptions): SettledServerOptions {
  const settled = Object.assign(settleCommon(options), {
    maxPendingHandshakes: options.maxPendingHandshakes ?? 16_384,
    maxHandshakeBytes: options.maxHandshakeBytes ?? 64 * 1024,
    maxSessions: options.maxSessions ?? 100_000,
    duplicateClient: options.duplicateClient ?? 'replace',
  });
  checkNumber('maxPendingHandshakes', settled.maxPendingHandshakes, 1);
  checkNumber('maxHandshakeBytes', settled.maxHandshakeBytes, 1);
  checkNumber('maxSessions', settled.maxSessions, 1);
  if (!['replace', 'reject', 'coexist'].includes(settled.duplicateClient)) {
    throw new InvalidOptionsError(
      `duplicateClient: expected 'replace', 'reject' or 'coexist', got '${settled.duplicateClient}'`,
    );
  }
  return settled;
}
