import { type Clock, systemClock } from '../transport/clock.ts';
import { HoldfastError, InvalidOptionsError } from '../transport/errors.ts';
import type { ClaimAnswer, IdempotencyClaim, IdempotencyStore } from './idempotencyStore.ts';

/** Options of {@link MemoryIdempotencyStore}. */
export interface MemoryIdempotencyStoreOptions {
  /** Calls it remembers. 100 000. */
  maxEntries?: number | undefined;
  /** What they take together: names, outcomes, and 256 bytes for each. 64 MiB. */
  maxBytes?: number | undefined;
  /** The part of both that one principal may take, above 0 and at most 1. An eighth. */
  maxPrincipalShare?: number | undefined;
  /** Makes the instance. Default: the platform's. */
  clock?: Clock | undefined;
}

/** There is no room for an outcome: the call was executed, and repeats of it will not hear what came of it. */
export class IdempotencyStoreFullError extends HoldfastError {
  constructor(message: string) {
    super('IDEMPOTENCY_STORE_FULL', message);
  }
}

/** The objects around an entry, and its hash. */
const ENTRY_BYTES = 256;
/** Of a UTF-16 unit. */
const UNIT_BYTES = 2;

interface Entry {
  readonly principal: string;
  readonly requestHash: string;
  expiresAt: number;
  outcome: Uint8Array | undefined;
  bytes: number;
}

interface Usage {
  entries: number;
  bytes: number;
}

/**
 * Outcomes in memory. A restart loses them, and the server then answers `OUTCOME_UNKNOWN` to repeats of earlier calls.
 * What has not expired is never forgotten.
 */
export class MemoryIdempotencyStore implements IdempotencyStore {
  readonly instance: string;
  readonly isDurable = false;
  readonly #all: Usage = { entries: 0, bytes: 0 };
  readonly #entries = new Map<string, Entry>();
  readonly #principals = new Map<string, Usage>();
  readonly #most: Usage;
  readonly #mostOfOne: Usage;

  /** @throws {InvalidOptionsError} */
  constructor({
    maxEntries = 100_000,
    maxBytes = 64 * 1024 * 1024,
    maxPrincipalShare = 1 / 8,
    clock = systemClock,
  }: MemoryIdempotencyStoreOptions = {}) {
    for (const [name, value] of Object.entries({ maxEntries, maxBytes })) {
      if (!Number.isSafeInteger(value) || value < 1)
        throw new InvalidOptionsError(`${name} must be an integer from 1, got ${value}`);
    }
    if (!(maxPrincipalShare > 0 && maxPrincipalShare <= 1))
      throw new InvalidOptionsError(`maxPrincipalShare must be above 0 and at most 1, got ${maxPrincipalShare}`);
    this.#most = { entries: maxEntries, bytes: maxBytes };
    this.#mostOfOne = {
      entries: Math.max(1, Math.floor(maxEntries * maxPrincipalShare)),
      bytes: Math.floor(maxBytes * maxPrincipalShare),
    };
    this.instance = clock.id() + clock.id();
  }

  /** Calls it remembers. */
  get size(): number {
    return this.#all.entries;
  }

  /** What they take. */
  get bytes(): number {
    return this.#all.bytes;
  }

  claim({ id, principal, requestHash, expiresAt }: IdempotencyClaim, now: number): ClaimAnswer {
    const known = this.#entries.get(id);
    if (known !== undefined && known.expiresAt > now)
      return { kind: 'known', requestHash: known.requestHash, outcome: known.outcome };
    if (known !== undefined) this.#forget(id, known);
    const bytes = ENTRY_BYTES + UNIT_BYTES * (id.length + principal.length);
    const message = this.#whatIsFull(principal, 1, bytes);
    if (message !== undefined) return { kind: 'full', message };
    this.#entries.set(id, { principal, requestHash, expiresAt, outcome: undefined, bytes });
    this.#count(principal, 1, bytes);
    return { kind: 'claimed' };
  }

  /** @throws {IdempotencyStoreFullError} */
  settle(claim: IdempotencyClaim, outcome: Uint8Array): void {
    const { id, principal, requestHash, expiresAt } = claim;
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      // It ran for longer than claims are kept.
      entry = { principal, requestHash, expiresAt, outcome: undefined, bytes: 0 };
      this.#admit(principal, 1, ENTRY_BYTES + UNIT_BYTES * (id.length + principal.length), entry);
      this.#entries.set(id, entry);
    }
    entry.expiresAt = expiresAt;
    this.#admit(principal, 0, outcome.length - (entry.outcome?.length ?? 0), entry);
    entry.outcome = outcome;
  }

  prune(now: number): number {
    for (const [id, entry] of this.#entries) {
      if (entry.expiresAt <= now) this.#forget(id, entry);
    }
    return this.#all.entries;
  }

  #admit(principal: string, entries: number, bytes: number, entry: Entry): void {
    const message = this.#whatIsFull(principal, entries, bytes);
    if (message !== undefined) throw new IdempotencyStoreFullError(message);
    entry.bytes += bytes;
    this.#count(principal, entries, bytes);
  }

  /** Which limit so much more would exceed. */
  #whatIsFull(principal: string, entries: number, bytes: number): string | undefined {
    const own = this.#principals.get(principal) ?? { entries: 0, bytes: 0 };
    if (this.#all.entries + entries > this.#most.entries) return `maxEntries (${this.#most.entries}) is reached`;
    if (this.#all.bytes + bytes > this.#most.bytes) return `maxBytes (${this.#most.bytes}) is reached`;
    if (own.entries + entries > this.#mostOfOne.entries)
      return `one principal's share of maxEntries (${this.#mostOfOne.entries}) is reached`;
    if (own.bytes + bytes > this.#mostOfOne.bytes)
      return `one principal's share of maxBytes (${this.#mostOfOne.bytes}) is reached`;
    return undefined;
  }

  #forget(id: string, { principal, bytes }: Entry): void {
    this.#entries.delete(id);
    this.#count(principal, -1, -bytes);
  }

  #count(principal: string, entries: number, bytes: number): void {
    const own = this.#principals.get(principal) ?? { entries: 0, bytes: 0 };
    for (const usage of [this.#all, own]) {
      usage.entries += entries;
      usage.bytes += bytes;
    }
    if (own.entries === 0) this.#principals.delete(principal);
    else this.#principals.set(principal, own);
  }
}
