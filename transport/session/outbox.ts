import type { Codec } from '../../codec/codec.ts';
import { MessageTooLargeError } from '../errors.ts';
import { ControlFlags, type OutgoingMessage } from '../message.ts';
import { payloadOf } from '../sharedPayload.ts';

/** What an envelope adds to its payload, at most, besides the strings it carries. */
const ENVELOPE_BYTES = 512;
/** Bytes of one UTF-16 unit in the codec that needs most: an escaped control character in JSON. */
const BYTES_PER_UNIT = 6;

interface Waiting {
  message: OutgoingMessage;
  payload: Uint8Array;
  /** At least what its frame will have. */
  bytes: number;
  /** Who is told once it is framed. */
  onFramed: (() => void)[] | undefined;
  /** Nobody wants it any more. */
  isRemoved: boolean;
}

/** What was taken out, and what to do when it is framed. */
export interface Drained {
  message: OutgoingMessage;
  onFramed: readonly (() => void)[];
}

/**
 * What was accepted before the session's first answer, which decides how messages are framed. Payloads are encoded when
 * they come: they may change afterwards, and who sent them must hear at once if they cannot be encoded.
 */
export class Outbox {
  readonly #codec: Codec;
  readonly #maxMessageBytes: number;
  readonly #idUnits: number;
  #waiting: Waiting[] = [];
  readonly #ofStream = new Map<string, Waiting[]>();
  /** Of {@link #waiting}, what nobody wants any more. */
  #removed = 0;
  #bytes = 0;

  /** @param from @param to the client ids that every envelope carries */
  constructor(codec: Codec, maxMessageBytes: number, from: string, to: string) {
    this.#codec = codec;
    this.#maxMessageBytes = maxMessageBytes;
    this.#idUnits = from.length + to.length;
  }

  /** At least what the frames will have. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * @param assertRoom is told how many bytes come, and throws if there is no room for them
   * @throws {CodecError}
   * @throws {MessageTooLargeError}
   */
  push(message: OutgoingMessage, assertRoom: (bytes: number) => void): void {
    const payload = this.#codec.toBuffer({ payload: payloadOf(message.payload) });
    const bytes = this.#frameBytesAtMost(message, payload);
    if (bytes > this.#maxMessageBytes) throw new MessageTooLargeError(bytes, this.#maxMessageBytes);
    assertRoom(bytes);
    const waiting: Waiting = { message, payload, bytes, onFramed: undefined, isRemoved: false };
    this.#waiting.push(waiting);
    const others = this.#ofStream.get(message.streamId);
    if (others === undefined) this.#ofStream.set(message.streamId, [waiting]);
    else others.push(waiting);
    this.#bytes += bytes;
  }

  #frameBytesAtMost(message: OutgoingMessage, payload: Uint8Array): number {
    const { streamId, serviceName = '', procedureName = '', tracing, callKey } = message;
    const trace = tracing === undefined ? 0 : tracing.traceparent.length + tracing.tracestate.length;
    const key = callKey === undefined ? 0 : callKey.key.length + (callKey.first?.instance.length ?? 0);
    const units = this.#idUnits + streamId.length + serviceName.length + procedureName.length + trace + key;
    return payload.length + ENVELOPE_BYTES + BYTES_PER_UNIT * units;
  }

  /** Calls `fn` once the last message of a stream is framed; never if it is taken back. False if none of it is here. */
  onceFramed(streamId: string, fn: () => void): boolean {
    const last = this.#ofStream.get(streamId)?.at(-1);
    if (last === undefined) return false;
    last.onFramed ??= [];
    last.onFramed.push(fn);
    return true;
  }

  /** Takes a stream's messages out. Returns true if its opening message was among them. */
  remove(streamId: string): boolean {
    const removed = this.#ofStream.get(streamId) ?? [];
    this.#ofStream.delete(streamId);
    for (const waiting of removed) {
      this.#bytes -= waiting.bytes;
      waiting.isRemoved = true;
    }
    this.#removed += removed.length;
    // Not each time: whoever gives up a thousand calls would look at all messages of all of them.
    if (this.#removed * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.filter(({ isRemoved }) => !isRemoved);
      this.#removed = 0;
    }
    return removed.some(({ message }) => (message.controlFlags & ControlFlags.StreamOpen) !== 0);
  }

  /** Takes everything out, in order, as it was when it came. */
  drain(): Drained[] {
    const waiting = this.#waiting.filter(({ isRemoved }) => !isRemoved);
    this.clear();
    return waiting.map(({ message, payload, onFramed = [] }) => {
      const copy = this.#codec.fromBuffer(payload) as { payload?: unknown }; // our own encoding of {payload}
      return { message: { ...message, payload: copy.payload }, onFramed };
    });
  }

  clear(): void {
    this.#waiting = [];
    this.#ofStream.clear();
    this.#removed = 0;
    this.#bytes = 0;
  }
}
