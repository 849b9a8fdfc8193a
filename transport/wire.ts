import type { Codec } from '../codec/codec.ts';
import { MessageTooLargeError } from './errors.ts';
import type { KeyOnWire, PropagationContext, TransportMessage } from './message.ts';

/**
 * Bytes ⇄ checked envelope. The check is written by hand: it is as fast as a compiled schema (one property read and
 * one comparison a field), needs no code generation, which browsers with a content security policy refuse, and keeps
 * the schema library out of browser bundles.
 */

/** Why a frame is no message. */
export class MalformedFrame {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}

function isCounter(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0; // isSafeInteger says it is a number
}

function isTrace(value: unknown): value is PropagationContext {
  if (typeof value !== 'object' || value === null) return false;
  return (
    'traceparent' in value &&
    typeof value.traceparent === 'string' &&
    'tracestate' in value &&
    typeof value.tracestate === 'string'
  );
}

function isKey(value: unknown): value is KeyOnWire {
  if (typeof value !== 'object' || value === null || !('key' in value) || typeof value.key !== 'string') return false;
  const instance = 'instance' in value ? value.instance : undefined;
  const until = 'until' in value ? value.until : undefined;
  return instance === undefined ? until === undefined : typeof instance === 'string' && isCounter(until);
}

/** The first field that is not as the envelope wants it, or undefined. */
function faultOf(message: Record<string, unknown>): string | undefined {
  if (typeof message['id'] !== 'string') return `id: expected a string, got ${show(message['id'])}`;
  if (typeof message['from'] !== 'string') return `from: expected a string, got ${show(message['from'])}`;
  if (typeof message['to'] !== 'string') return `to: expected a string, got ${show(message['to'])}`;
  if (!isCounter(message['seq'])) return `seq: expected an integer from 0, got ${show(message['seq'])}`;
  if (!isCounter(message['ack'])) return `ack: expected an integer from 0, got ${show(message['ack'])}`;
  if (typeof message['streamId'] !== 'string') return `streamId: expected a string, got ${show(message['streamId'])}`;
  if (!isCounter(message['controlFlags']))
    return `controlFlags: expected an integer from 0, got ${show(message['controlFlags'])}`;
  const { serviceName, procedureName, tracing, deadline, idempotency } = message;
  if (serviceName !== undefined && typeof serviceName !== 'string')
    return `serviceName: expected a string, got ${show(serviceName)}`;
  if (procedureName !== undefined && typeof procedureName !== 'string')
    return `procedureName: expected a string, got ${show(procedureName)}`;
  if (tracing !== undefined && !isTrace(tracing))
    return `tracing: expected {traceparent, tracestate}, got ${show(tracing)}`;
  if (deadline !== undefined && !isCounter(deadline))
    return `deadline: expected an integer from 0, got ${show(deadline)}`;
  if (idempotency !== undefined && !isKey(idempotency))
    return `idempotency: expected {key} or {key, instance, until}, got ${show(idempotency)}`;
  return undefined;
}

/** Decodes one frame and checks every field of the envelope. Never throws. */
export function decodeFrame(
  codec: Codec,
  frame: Uint8Array,
  maxMessageBytes: number,
): TransportMessage | MalformedFrame {
  if (frame.length > maxMessageBytes)
    return new MalformedFrame(`expected at most ${maxMessageBytes} bytes, got ${frame.length}`);
  let value: unknown;
  try {
    value = codec.fromBuffer(frame);
  } catch (error) {
    return new MalformedFrame(error instanceof Error ? error.message : String(error));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new MalformedFrame(`expected an object, got ${show(value)}`);
  }
  const fault = faultOf(value as Record<string, unknown>); // any object may be read by name
  if (fault !== undefined) return new MalformedFrame(fault);
  return value as TransportMessage; // faultOf has looked at every field
}

/**
 * Encodes one message.
 * @throws {CodecError} if the payload holds what the codec cannot carry
 * @throws {MessageTooLargeError}
 */
export function encodeFrame(codec: Codec, message: TransportMessage, maxMessageBytes: number): Uint8Array {
  const frame = codec.toBuffer(message);
  if (frame.length > maxMessageBytes) throw new MessageTooLargeError(frame.length, maxMessageBytes);
  return frame;
}
