import { InvalidOptionsError } from '../transport/errors.ts';

/** How much a store of outcomes holds. */
export interface IdempotencyLimitOptions {
  /** Calls it remembers. */
  maxEntries?: number | undefined;
  /** What they take together: names, outcomes, and 256 bytes for each. */
  maxBytes?: number | undefined;
  /** The part of both that one principal may take, above 0 and at most 1. An eighth. */
  maxPrincipalShare?: number | undefined;
}

/** What is held: by a store, or for one principal. */
export interface IdempotencyUsage {
  entries: number;
  bytes: number;
}

/** The objects around an entry, and its hash. */
const ENTRY_BYTES = 256;
/** Of a UTF-16 unit. */
const UNIT_BYTES = 2;

/** What an entry takes besides its outcome. */
export function entryBytes({ id, principal }: { readonly id: string; readonly principal: string }): number {
  return ENTRY_BYTES + UNIT_BYTES * (id.length + principal.length);
}

/** The limits of a store: one for all, and a share of it for each principal, so that nobody fills up the others' room. */
export class IdempotencyLimits {
  readonly #most: IdempotencyUsage;
  readonly #mostOfOne: IdempotencyUsage;

  /** @throws {InvalidOptionsError} */
  constructor(
    { maxEntries, maxBytes, maxPrincipalShare = 1 / 8 }: IdempotencyLimitOptions,
    defaults: { readonly maxEntries: number; readonly maxBytes: number },
  ) {
    const entries = maxEntries ?? defaults.maxEntries;
    const bytes = maxBytes ?? defaults.maxBytes;
    for (const [name, value] of Object.entries({ maxEntries: entries, maxBytes: bytes })) {
      if (!Number.isSafeInteger(value) || value < 1)
        throw new InvalidOptionsError(`${name} must be an integer from 1, got ${value}`);
    }
    if (!(maxPrincipalShare > 0 && maxPrincipalShare <= 1))
      throw new InvalidOptionsError(`maxPrincipalShare must be above 0 and at most 1, got ${maxPrincipalShare}`);
    this.#most = { entries, bytes };
    this.#mostOfOne = {
      entries: Math.max(1, Math.floor(entries * maxPrincipalShare)),
      bytes: Math.floor(bytes * maxPrincipalShare),
    };
  }

  /** Which limit so much more would exceed, in a sentence; undefined if none. */
  exceeded(all: IdempotencyUsage, own: IdempotencyUsage, more: IdempotencyUsage): string | undefined {
    if (all.entries + more.entries > this.#most.entries) return `maxEntries (${this.#most.entries}) is reached`;
    if (all.bytes + more.bytes > this.#most.bytes) return `maxBytes (${this.#most.bytes}) is reached`;
    if (own.entries + more.entries > this.#mostOfOne.entries)
      return `one principal's share of maxEntries (${this.#mostOfOne.entries}) is reached`;
    if (own.bytes + more.bytes > this.#mostOfOne.bytes)
      return `one principal's share of maxBytes (${this.#mostOfOne.bytes}) is reached`;
    return undefined;
  }
}
