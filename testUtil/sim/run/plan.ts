import { type Random, randomFor } from '../engine/random.ts';
import type { Terms } from '../oracle/half.ts';
import { type FaultClass, faultClasses, rates } from './faultClasses.ts';

/** One fault that will happen, all of it decided. Leaving one out changes none of the others. */
export interface PlannedFault {
  /** Position in the seed's plan: stays what it is while a plan is shrunk. */
  readonly id: number;
  readonly kind: FaultClass;
  /** Milliseconds from the beginning. */
  readonly at: number;
  /** Which client, by number. */
  readonly client: number;
  /** Four numbers in [0, 1) that decide the rest. */
  readonly dice: readonly [number, number, number, number];
}

/** How both transports are set. */
export interface PlannedOptions {
  readonly codec: 'json' | 'msgpack';
  readonly heartbeatIntervalMs: number;
  readonly heartbeatsUntilDead: number;
  readonly sessionDisconnectGraceMs: number;
  readonly connectionTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** The server may be more patient: then a request that comes late overtakes the dial that followed it. */
  readonly serverHandshakeTimeoutMs: number;
  readonly enableTransparentSessionReconnects: boolean;
  readonly baseIntervalMs: number;
  readonly maxJitterMs: number;
  readonly maxBackoffMs: number;
  readonly ackAfterMessages: number;
  readonly maxMessageBytes: number;
  readonly maxSessionBufferBytes: number;
  readonly sessionHighWaterBytes: number;
  readonly hasHeartbeatExtension: boolean;
  readonly hasDeadlineExtension: boolean;
  /** Both sides speak `resume`: every loss of a half must be noticed, not only those that counters betray. */
  readonly hasResumeExtension: boolean;
  readonly duplicateClient: 'replace' | 'coexist';
  readonly hasCompactExtension: boolean;
  /** Spoken where `compact` is. */
  readonly hasCreditExtension: boolean;
  readonly readableHighWaterBytes: number;
  readonly maxStreamBufferBytes: number;
}

/** Everything that a seed decides before the run begins. */
export interface Plan {
  readonly seed: number;
  readonly clients: number;
  /** Milliseconds of faults. */
  readonly durationMs: number;
  readonly workload: 'ports' | 'router';
  readonly options: PlannedOptions;
  readonly kinds: readonly FaultClass[];
  readonly faults: readonly PlannedFault[];
  /** Busyness of the programs. */
  readonly gapMs: number;
  readonly maxBurst: number;
}

/** How a seed sets the transports. */
export function planOptions(random: Random): PlannedOptions {
  const connectionTimeoutMs = random.integer(400, 3_000);
  const handshakeTimeoutMs = random.integer(400, 3_000);
  const baseIntervalMs = random.integer(20, 300);
  const sessionDisconnectGraceMs = connectionTimeoutMs + handshakeTimeoutMs + random.integer(0, 14_000);
  const patience = random.chance(0.5) ? 1 : random.between(1, 5);
  const serverHandshakeTimeoutMs = Math.min(
    handshakeTimeoutMs * patience,
    sessionDisconnectGraceMs - connectionTimeoutMs,
  );
  const isTight = random.chance(0.2);
  return {
    codec: random.pick(['json', 'msgpack', 'msgpack']),
    heartbeatIntervalMs: random.chance(0.3) ? random.integer(2_000, 5_000) : random.integer(400, 2_000),
    heartbeatsUntilDead: random.pick([1, 2, 2, 2, 3]),
    sessionDisconnectGraceMs,
    connectionTimeoutMs,
    handshakeTimeoutMs,
    serverHandshakeTimeoutMs,
    enableTransparentSessionReconnects: !random.chance(0.04),
    baseIntervalMs,
    maxJitterMs: random.integer(0, 300),
    maxBackoffMs: baseIntervalMs + random.integer(200, 4_000),
    ackAfterMessages: random.pick([4, 16, 128]),
    maxMessageBytes: isTight ? 32 * 1024 : 1024 * 1024,
    maxSessionBufferBytes: isTight ? 64 * 1024 : 16 * 1024 * 1024,
    sessionHighWaterBytes: isTight ? 16 * 1024 : 1024 * 1024,
    hasHeartbeatExtension: random.chance(0.7),
    hasDeadlineExtension: random.chance(0.7),
    hasResumeExtension: random.chance(0.7),
    duplicateClient: random.pick(['replace', 'replace', 'replace', 'replace', 'coexist']),
    hasCompactExtension: random.chance(0.8),
    hasCreditExtension: random.chance(0.7),
    readableHighWaterBytes: random.pick([500, 4_000, 20_000, 256 * 1024]),
    maxStreamBufferBytes: random.pick([40 * 1024, 1024 * 1024]),
  };
}

function planFaults(seed: number, kinds: readonly FaultClass[], clients: number, durationMs: number): PlannedFault[] {
  const faults: PlannedFault[] = [];
  faultClasses.forEach((kind, position) => {
    const random = randomFor(seed, 'faults', kind);
    const count = random.integer(1, rates[kind]);
    for (let i = 0; i < count; i++) {
      const fault = {
        id: position * 100 + i,
        kind,
        at: random.between(0.02, 0.96) * durationMs,
        client: random.integer(0, clients - 1),
        dice: [random.next(), random.next(), random.next(), random.next()] as const,
      };
      if (kinds.includes(kind)) faults.push(fault);
    }
  });
  return faults.sort((a, b) => a.at - b.at);
}

/** What a seed stands for. */
export function planOf(seed: number): Plan {
  const random = randomFor(seed, 'plan');
  const clients = random.pick([1, 1, 2, 2, 2, 3]);
  const durationMs = 60_000 + random.integer(0, 10_000);
  const chosen = randomFor(seed, 'classes');
  const kinds = faultClasses.filter(() => chosen.chance(0.5));
  return {
    seed,
    clients,
    durationMs,
    workload: random.chance(0.5) ? 'ports' : 'router',
    options: planOptions(randomFor(seed, 'options')),
    kinds,
    faults: planFaults(seed, kinds, clients, durationMs),
    gapMs: random.pick([80, 250, 400, 800, 2_500]),
    maxBurst: random.pick([1, 5, 12]),
  };
}

/** What may be sent on a stream from its start; infinite where `credit` is not spoken. */
export function windowOf({ hasCompactExtension, hasCreditExtension, readableHighWaterBytes }: PlannedOptions): number {
  return hasCompactExtension && hasCreditExtension ? readableHighWaterBytes : Number.POSITIVE_INFINITY;
}

/** What the oracle has to know of the options. */
export function termsOf({ options, workload, kinds }: Pick<Plan, 'options' | 'workload' | 'kinds'>): Terms {
  return {
    graceMs: options.sessionDisconnectGraceMs,
    handshakeTimeoutMs: options.serverHandshakeTimeoutMs,
    connectionTimeoutMs: options.connectionTimeoutMs,
    heartbeatMs: options.heartbeatIntervalMs,
    misses: options.heartbeatsUntilDead,
    // Towards a peer that was not told of its interval the server beats at least once a second.
    beatMs: options.hasHeartbeatExtension ? options.heartbeatIntervalMs : Math.min(1_000, options.heartbeatIntervalMs),
    maxBackoffMs: options.maxBackoffMs,
    maxJitterMs: options.maxJitterMs,
    maxBufferBytes: options.maxSessionBufferBytes,
    resumes: options.enableTransparentSessionReconnects,
    hasResume: options.hasResumeExtension,
    windowBytes: windowOf(options),
    tellsAll: workload === 'ports' && !kinds.includes('sendFails'),
  };
}

/** X of invariant 2: by then everything has arrived and everybody is connected. */
export function settleMs({
  heartbeatMs,
  misses,
  connectionTimeoutMs,
  handshakeTimeoutMs,
  maxBackoffMs,
  maxJitterMs,
}: Terms): number {
  return (
    2 * (heartbeatMs * (misses + 1) + connectionTimeoutMs + handshakeTimeoutMs + maxBackoffMs + maxJitterMs) + 1_500
  );
}
