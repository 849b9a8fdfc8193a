import type { Codec } from '../codec/codec.ts';

/** A payload in one codec. */
export interface SharedBody {
  /** What the payload is, or what of an ok result there is: {@link isOk}. */
  readonly bytes: Uint8Array;
  readonly isOk: boolean;
  /**
   * Encoded messages by the number of their stream: sessions whose streams have the same one keep the same memory. Undefined where
   * there was one that is not shared.
   */
  readonly messages: Map<number, Uint8Array | undefined>;
}

/**
 * One payload for many streams: encoded once in each codec, however many it goes to. It is `payload` of an outgoing
 * message; frames of River's wire, which hold the payload within the envelope, are encoded as ever.
 */
export class SharedPayload {
  readonly value: unknown;
  readonly #bodies = new Map<Codec, SharedBody>();

  /** @param value stays as it is for as long as this is sent */
  constructor(value: unknown) {
    this.value = value;
  }

  /** @param encode makes the body, where this codec has none yet */
  bodyIn(codec: Codec, encode: () => SharedBody): SharedBody {
    let body = this.#bodies.get(codec);
    if (body === undefined) {
      body = encode();
      this.#bodies.set(codec, body);
    }
    return body;
  }
}

/** What a message carries, whether it is shared or not. */
export function payloadOf(payload: unknown): unknown {
  return payload instanceof SharedPayload ? payload.value : payload;
}
