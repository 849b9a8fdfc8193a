import { JsonCodec } from '../../../codec/json.ts';
import { MsgpackCodec } from '../../../codec/msgpack.ts';
import { BufferBudget } from '../../../transport/budget.ts';
import type { Clock } from '../../../transport/clock.ts';
import type { ServerHandshake } from '../../../transport/handshake.ts';
import type { TransportOptions } from '../../../transport/options.ts';
import type { Plan } from './plan.ts';

const BUDGET_BYTES = 256 * 1024 * 1024;

/** Of handshakes are judged at once; */
const AT_ONCE = 0.5;
/** the others late, but for some that never are. */
const EVER = 0.95;

/** What both transports of a run are set to. */
export function transportOptions({ options }: Pick<Plan, 'options'>): TransportOptions {
  const { codec } = options;
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
    readableHighWaterBytes: options.readableHighWaterBytes,
    maxStreamBufferBytes: options.maxStreamBufferBytes,
    // Each process its own, as in life: what one holds is not the business of another.
    budget: new BufferBudget(BUDGET_BYTES),
    codec: codec === 'json' ? JsonCodec : MsgpackCodec,
    extensions: {
      heartbeat: options.hasHeartbeatExtension,
      deadline: options.hasDeadlineExtension,
      compact: options.hasCompactExtension,
      credit: options.hasCreditExtension,
      idempotency: options.hasDeadlineExtension,
      resume: options.hasResumeExtension,
    },
  };
}

/**
 * A validator that asks somebody else, who may be slow, or never answer.
 * @param isOver true once it is quick
 * @param onSlow told when it takes its time
 */
export function slowHandshake(
  { options }: Pick<Plan, 'options'>,
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
