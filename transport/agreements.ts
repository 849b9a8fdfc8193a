import type { Codec } from '../codec/codec.ts';
import { type AcceptedExtensions, type AgreedExtensions, sameExtensions } from './extensions.ts';
import type { Agreement } from './session/environment.ts';

/**
 * What a server agreed on with its clients, each combination once: ten thousand sessions that agreed on the same share
 * one object. There are few, since a server's heartbeat and instance are always the same.
 */
export class Agreements {
  readonly #known: Agreement[] = [];

  /** The agreement that such an answer makes. */
  of(codec: Codec, accepted: AcceptedExtensions | undefined): Agreement {
    const known = this.#known.find((one) => one.codec === codec && sameExtensions(one.extensions, accepted));
    if (known !== undefined) return known;
    const agreement = { codec, extensions: accepted === undefined ? undefined : agreedOf(accepted) };
    this.#known.push(agreement);
    return agreement;
  }
}

function agreedOf({ resume, ...extensions }: AcceptedExtensions): AgreedExtensions {
  return resume === undefined ? extensions : { ...extensions, resume: { instance: resume.instance } };
}
