import { encodeCompact } from '../compact.ts';
import { IdempotencyUnsupportedError } from '../errors.ts';
import { type KeyOnWire, knownForMs, type OutgoingMessage, type TransportMessage } from '../message.ts';
import { payloadOf } from '../sharedPayload.ts';
import { encodeFrame } from '../wire.ts';
import type { SessionCore } from './core.ts';
import type { Agreement } from './environment.ts';

/**
 * What is kept of a message until it is confirmed: on River's wire a frame, otherwise a part of one.
 * @param stream the number of its stream, where that is known already
 * @throws {CodecError}
 * @throws {IdempotencyUnsupportedError} if it has a key and the peer has nowhere to keep it
 * @throws {MessageTooLargeError}
 */
export function encodeOutgoing(
  core: SessionCore,
  message: OutgoingMessage,
  agreement: Agreement,
  stream: number | undefined,
): Uint8Array {
  const { maxMessageBytes } = core.env.options;
  if (core.isCompact)
    return encodeCompact(
      agreement.codec,
      message,
      deadlineOf(core, message, agreement),
      maxMessageBytes,
      stream,
      keyOf(core, message, agreement),
    );
  for (;;) {
    const { nextSeq } = core.ledger;
    const frame = encodeFrame(agreement.codec, envelopeOf(core, message, agreement), maxMessageBytes);
    // A getter of the payload may have sent something meanwhile, which then has the number.
    if (core.ledger.nextSeq === nextSeq) return frame;
  }
}

function envelopeOf(core: SessionCore, message: OutgoingMessage, agreement: Agreement): TransportMessage {
  if (message.serviceName !== undefined) return openingEnvelope(core, message, agreement);
  return {
    id: core.env.clock.id(),
    from: core.from,
    to: core.to,
    seq: core.ledger.nextSeq,
    ack: core.ledger.ack,
    streamId: core.envelopeId(message.streamId),
    controlFlags: message.controlFlags,
    payload: payloadOf(message.payload),
  };
}

function openingEnvelope(core: SessionCore, message: OutgoingMessage, agreement: Agreement): TransportMessage {
  const envelope: TransportMessage = {
    id: core.env.clock.id(),
    from: core.from,
    to: core.to,
    seq: core.ledger.nextSeq,
    ack: core.ledger.ack,
    streamId: core.envelopeId(message.streamId),
    controlFlags: message.controlFlags,
    serviceName: message.serviceName,
    procedureName: message.procedureName,
    tracing: message.tracing,
    payload: payloadOf(message.payload),
  };
  const deadline = deadlineOf(core, message, agreement);
  if (deadline !== undefined) envelope.deadline = deadline;
  const idempotency = keyOf(core, message, agreement);
  if (idempotency !== undefined) envelope.idempotency = idempotency;
  return envelope;
}

/** In session time, towards a peer that knows of deadlines. */
function deadlineOf(
  { zero }: SessionCore,
  { deadlineAt }: OutgoingMessage,
  { extensions }: Agreement,
): number | undefined {
  if (deadlineAt === undefined || extensions?.deadline === undefined) return undefined;
  return toWire(Math.round(deadlineAt - zero));
}

/** What it says of its first attempt is in session time. */
function keyOf(
  { zero, clock }: SessionCore,
  { callKey }: OutgoingMessage,
  { extensions }: Agreement,
): KeyOnWire | undefined {
  if (callKey === undefined) return undefined;
  if (extensions?.idempotency === undefined) throw new IdempotencyUnsupportedError();
  const { key, first } = callKey;
  if (first === undefined) return { key };
  return {
    key,
    instance: first.instance,
    until: toWire(Math.floor(clock.now() + knownForMs(first, clock) - zero)),
  };
}

/** A time that a frame can carry: one that never comes is as far away as can be said. */
function toWire(time: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, time));
}
