import { JsonCodec } from '../../../codec/json.ts';
import { MsgpackCodec } from '../../../codec/msgpack.ts';
import type { Clock } from '../../../transport/clock.ts';
import type { ServerHandshake } from '../../../transport/handshake.ts';
import type { TransportOptions } from '../../../transport/options.ts';
import type { Plan } from './plan.ts';

/** Of handshakes are judged at once; */
const AT_ONCE = 0.5;
/** the others late, but for some that never are. */
const EVER = 0.95;

/** What both transports of a run are set to. */
export function transportOptions({ options }: Plan): TransportOptions {
  const { codec, hasHeartbeatExtension, hasDeadlineExtension, hasResumeExtension, hasCompactExtension } = options;
  return {
    heartbeatIntervalMs: options.heartbeatIntervalMs,
    heartbeatsUntilDead: options.heartbeatsUntilDead,
    sessionDisconnectGraceMs: options.sessionDisconnectGraceMs,
    connectionTimeoutMs: options.connectionTimeoutMs,
    handshakeTimeoutMs: options.handshakeTimeoutMs,
    enableTransparentSessionReconnects: options.enableTransparentSessionReconnects,
    ackAfterMessages: options.ackAfterMessages,
    maxMessageBytes: options.maxMessageBytes,
    maxSessionBufferBytes: options.maxSessionBufferBytes,
    sessionHighWaterBytes: options.sessionHighWaterBytes,
    codec: codec === 'json' ? JsonCodec : MsgpackCodec,
    extensions: {
      heartbeat: hasHeartbeatExtension,
      deadline: hasDeadlineExtension,
      compact: hasCompactExtension,
      resume: hasResumeExtension,
    },
  };
}

/**
 * A validator that asks somebody else, who may be slow, or never answer.
 * @param isOver true once it is quick
 * @param onSlow told when it takes its time
 */
export function slowHandshake(
  { options }: Plan,
  clock: Clock,
  isOver: () => boolean,
  onSlow: () => void,
): ServerHandshake {
  const { serverHandshakeTimeoutMs } = options;
  return {
    checkMetadata: () => undefined,
    validate: () => {
      const dice = clock.random();
      if (isOver() || dice < AT_ONCE) return {};
      onSlow();
      return new Promise((resolve) => {
        if (dice < EVER) clock.after(clock.random() * 1.6 * serverHandshakeTimeoutMs, () => resolve({}));
      });
    },
  };
}
