import { type Clock, systemClock } from '../transport/clock.ts';
import { HoldfastError } from '../transport/errors.ts';
import {
  entryBytes,
  type IdempotencyLimitOptions,
  IdempotencyLimits,
  type IdempotencyUsage,
} from './idempotencyLimits.ts';
import type { ClaimAnswer, IdempotencyClaim, IdempotencyStore } from './idempotencyStore.ts';

/** Options of {@link MemoryIdempotencyStore}: 100 000 entries, 64 MiB. */
export interface MemoryIdempotencyStoreOptions extends IdempotencyLimitOptions {
  /** Makes the instance. Default: the platform's. */
  clock?: Clock | undefined;
}

/** There is no room for an outcome: the call was executed, and repeats of it will not hear what came of it. */
export class IdempotencyStoreFullError extends HoldfastError {
  constructor(message: string) {
    super('IDEMPOTENCY_STORE_FULL', message);
  }
}

const DEFAULTS = { maxEntries: 100_000, maxBytes: 64 * 1024 * 1024 };
const NOTHING: Readonly<IdempotencyUsage> = Object.freeze({ entries: 0, bytes: 0 });

interface Entry {
  readonly principal: string;
  readonly requestHash: string;
  expiresAt: number;
  outcome: Uint8Array | undefined;
  bytes: number;
}

/**
 * Outcomes in memory. A restart loses them, and the server then answers `OUTCOME_UNKNOWN` to repeats of earlier calls.
 * What has not expired is never forgotten.
 */
export class MemoryIdempotencyStore implements IdempotencyStore {
  readonly instance: string;
  readonly isDurable = false;
  readonly #all: IdempotencyUsage = { ...NOTHING };
  readonly #entries = new Map<string, Entry>();
  readonly #principals = new Map<string, IdempotencyUsage>();
  readonly #limits: IdempotencyLimits;

  /** @throws {InvalidOptionsError} */
  constructor(options: MemoryIdempotencyStoreOptions = {}) {
    const { clock = systemClock } = options;
    this.#limits = new IdempotencyLimits(options, DEFAULTS);
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

  claim(claim: IdempotencyClaim, now: number): ClaimAnswer {
    const known = this.#entries.get(claim.id);
    if (known !== undefined && known.expiresAt > now)
      return { kind: 'known', requestHash: known.requestHash, outcome: known.outcome };
    if (known !== undefined) this.#forget(claim.id, known);
    const message = this.#add(claim);
    return message === undefined ? { kind: 'claimed' } : { kind: 'full', message };
  }

  /** @throws {IdempotencyStoreFullError} */
  settle(claim: IdempotencyClaim, outcome: Uint8Array): void {
    // It may have run for longer than claims are kept.
    const message = this.#entries.has(claim.id) ? undefined : this.#add(claim);
    const entry = this.#entries.get(claim.id);
    if (entry === undefined) throw new IdempotencyStoreFullError(message ?? 'there is no room');
    if (entry.requestHash !== claim.requestHash) return;
    entry.expiresAt = claim.expiresAt;
    const more = { entries: 0, bytes: outcome.length - (entry.outcome?.length ?? 0) };
    const exceeded = this.#limits.exceeded(this.#all, this.#usageOf(entry.principal), more);
    if (exceeded !== undefined) throw new IdempotencyStoreFullError(exceeded);
    entry.outcome = outcome;
    entry.bytes += more.bytes;
    this.#count(entry.principal, more);
  }

  prune(now: number): number {
    for (const [id, entry] of this.#entries) {
      if (entry.expiresAt <= now) this.#forget(id, entry);
    }
    return this.#all.entries;
  }

  /** Returns why it cannot. */
  #add(claim: IdempotencyClaim): string | undefined {
    const { id, principal, requestHash, expiresAt } = claim;
    const more = { entries: 1, bytes: entryBytes(claim) };
    const exceeded = this.#limits.exceeded(this.#all, this.#usageOf(principal), more);
    if (exceeded !== undefined) return exceeded;
    this.#entries.set(id, { principal, requestHash, expiresAt, outcome: undefined, bytes: more.bytes });
    this.#count(principal, more);
    return undefined;
  }

  #forget(id: string, { principal, bytes }: Entry): void {
    this.#entries.delete(id);
    this.#count(principal, { entries: -1, bytes: -bytes });
  }

  #usageOf(principal: string): Readonly<IdempotencyUsage> {
    return this.#principals.get(principal) ?? NOTHING;
  }

  #count(principal: string, { entries, bytes }: IdempotencyUsage): void {
    const own = this.#principals.get(principal) ?? { ...NOTHING };
    for (const usage of [this.#all, own]) {
      usage.entries += entries;
      usage.bytes += bytes;
    }
    if (own.entries === 0) this.#principals.delete(principal);
    else this.#principals.set(principal, own);
  }
}
