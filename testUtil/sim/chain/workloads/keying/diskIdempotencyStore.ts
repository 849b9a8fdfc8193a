import type { ClaimAnswer, IdempotencyClaim, IdempotencyStore } from '../../../../../router/idempotencyStore.ts';
import type { Clock } from '../../../../../transport/clock.ts';
import type { Disk, DiskTable } from '../../disk.ts';
import { pauseOf } from '../pauseOf.ts';

interface StoredCall {
  readonly requestHash: string;
  readonly expiresAt: number;
  readonly outcome: Uint8Array | undefined;
}

const MAX_WAIT_MS = 300;
const SLOW = 0.3;

/** Outcomes on a simulated disk, which may take its time: what the SQLite store is on a real one. */
export class DiskIdempotencyStore implements IdempotencyStore {
  readonly isDurable = true;
  readonly #clock: Clock;
  readonly #instance: DiskTable<string>;
  readonly #calls: DiskTable<StoredCall>;

  constructor(disk: Disk, clock: Clock) {
    this.#clock = clock;
    this.#instance = disk.table('instance of outcomes');
    this.#calls = disk.table('outcomes');
    if (this.#instance.get('') === undefined) this.beginAnew();
  }

  get instance(): string {
    return this.#instance.get('') ?? '';
  }

  /** Says that calls may have been made that it knows nothing of: the disk was restored from a backup. */
  beginAnew(): void {
    this.#instance.set('', this.#clock.id());
  }

  async claim({ id, requestHash, expiresAt }: IdempotencyClaim, now: number): Promise<ClaimAnswer> {
    await this.#wait();
    const known = this.#calls.get(id);
    if (known !== undefined && known.expiresAt > now)
      return { kind: 'known', requestHash: known.requestHash, outcome: known.outcome };
    this.#calls.set(id, { requestHash, expiresAt, outcome: undefined });
    await this.#wait();
    return { kind: 'claimed' };
  }

  async settle({ id, requestHash, expiresAt }: IdempotencyClaim, outcome: Uint8Array): Promise<void> {
    await this.#wait();
    this.#calls.set(id, { requestHash, expiresAt, outcome });
  }

  prune(now: number): number {
    const calls = this.#calls.entries();
    const old = calls.filter(([, { expiresAt }]) => expiresAt <= now);
    for (const [id] of old) this.#calls.delete(id);
    return calls.length - old.length;
  }

  async #wait(): Promise<void> {
    if (this.#clock.random() < SLOW) await pauseOf(this.#clock, this.#clock.random() * MAX_WAIT_MS);
  }
}
