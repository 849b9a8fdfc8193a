import { LeaseLostError } from './errors.ts';
import type { CheckpointStore, Lease } from './store.ts';

/** A lease that was got, or until when somebody else has it. */
export type LeaseOutcome = { readonly lease: Lease } | { readonly lease: undefined; readonly freeAt: number };

/** Takes the lease of an engine, if nobody else has one that is valid. */
export function takeLease(
  store: CheckpointStore<unknown>,
  engine: string,
  owner: string,
  now: number,
  ttlMs: number,
): LeaseOutcome {
  return store.transaction(() => {
    const held = store.lease(engine);
    if (held !== undefined && held.owner !== '' && held.owner !== owner && isValid(held, now)) {
      return { lease: undefined, freeAt: held.renewedAt + held.ttlMs };
    }
    const lease = { owner, fence: (held?.fence ?? 0) + 1, renewedAt: now, ttlMs };
    store.saveLease(engine, lease);
    return { lease };
  }, 'own');
}

/** Within a transaction: whoever has taken the lease over since must not be disturbed, however late this one wakes up. */
export function assertLease(store: CheckpointStore<unknown>, engine: string, lease: Lease): void {
  if (!isHeld(store, engine, lease)) throw new LeaseLostError(engine);
}

/** Moves the end of the lease away. @throws {LeaseLostError} if somebody else has it */
export function renewLease(store: CheckpointStore<unknown>, engine: string, lease: Lease, now: number): void {
  store.transaction(() => {
    assertLease(store, engine, lease);
    store.saveLease(engine, { ...lease, renewedAt: now });
  }, 'own');
}

/** Gives the lease back, if it is still this one. */
export function releaseLease(store: CheckpointStore<unknown>, engine: string, lease: Lease): void {
  store.transaction(() => {
    // The fence stays: it must never go down.
    if (isHeld(store, engine, lease)) store.saveLease(engine, { ...lease, owner: '' });
  }, 'own');
}

function isHeld(store: CheckpointStore<unknown>, engine: string, lease: Lease): boolean {
  const held = store.lease(engine);
  return held?.fence === lease.fence && held.owner === lease.owner;
}

/** Wall time may jump: a lease renewed in what is now the distant future is no reason to wait for it. */
function isValid(lease: Lease, now: number): boolean {
  return Math.abs(now - lease.renewedAt) < lease.ttlMs;
}
