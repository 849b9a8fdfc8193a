import type { Codec } from '../../codec/codec.ts';
import type { Clock } from '../clock.ts';
import type { EventQueue } from '../eventQueue.ts';
import type { AgreedExtensions } from '../extensions.ts';
import type { Logger } from '../log.ts';
import type { SettledTransportOptions } from '../options.ts';
import type { StreamOpener } from '../stream.ts';
import type { Telemetry } from '../telemetry.ts';
import type { TimerWheel } from '../wheel.ts';
import type { SessionOwner } from './owner.ts';
import type { TurnEnd } from './turnEnd.ts';
import type { VerdictQueue } from './verdictQueue.ts';

/** What all sessions of one transport share. */
export interface SessionEnvironment {
  readonly owner: SessionOwner;
  readonly options: SettledTransportOptions;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** Where states' events wait for their turn. */
  readonly queue: Pick<EventQueue, 'hasWaiting' | 'post'>;
  /** What this turn's sessions have to send. */
  readonly flushes: TurnEnd;
  /** On peers that were not heard. */
  readonly verdicts: VerdictQueue;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  /** Server: who gets messages that no open stream waits for. */
  readonly opener: () => StreamOpener | undefined;
}

/** What a session's two sides agreed on with its first answer, for good. A server's sessions share what is equal. */
export interface Agreement {
  readonly codec: Codec;
  /** Undefined: the peer speaks River v2.0 and nothing else. */
  readonly extensions: AgreedExtensions | undefined;
}

/** The state that can transmit: Connected. */
export interface FrameSink {
  /** Bytes that its connection has taken and not passed on. */
  readonly bufferedBytes: number;
  /** There is more in the ledger: it leaves with everything else that this turn sends. */
  flushSoon(bytes?: number): void;
}
