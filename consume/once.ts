import { type Clock, systemClock } from '../router/index.ts';
import type { NotAPromise } from '../watch/sqlite.ts';
import { ConsumeOptionsError, OnceInProgressError } from './errors.ts';
import { checkLedger, number, text } from './options.ts';
import type { CheckpointStore, Claim } from './store.ts';
import { refusePromise } from './transaction.ts';

/** `ran: false`: an earlier call had the effect, and this is what it returned (as JSON made it). */
export interface OnceOutcome<T> {
  readonly ran: boolean;
  readonly result: T;
}

/** `unknown`: an earlier call began, at most once, and failed, crashed or is still at it. It is not begun again. */
export type OnceAsyncOutcome<T> =
  | (OnceOutcome<T> & { readonly outcome: 'known' })
  | { readonly ran: false; readonly outcome: 'unknown' };

/** Options of {@link once}. */
export interface OnceOptions {
  readonly clock?: Clock | undefined;
}

/** Options of {@link onceAsync}. */
export interface OnceAsyncOptions extends OnceOptions {
  /**
   * `at-most-once`: the claim is saved first and stays, whatever becomes of the effect. `at-least-once`: an effect that fails
   * gives its claim back, and one that neither succeeds nor fails within `leaseMs` may be begun by another call.
   */
  readonly mode: 'at-most-once' | 'at-least-once';
  /** For `at-least-once`; choose it longer than the effect takes. Default 60 000. */
  readonly leaseMs?: number | undefined;
}

/**
 * Executes an effect once for each id of a scope, however often and from however many processes it is delivered. Claim, effect
 * and result commit in one transaction of the store; an effect that throws is rolled back with its claim, and the error
 * passed on. Inside a transaction of the application, or of a consumer, it is a part of that one.
 * @throws {AsyncEffectError} if the effect returns a promise; it was rolled back
 */
export function once<Tx, T extends NotAPromise>(
  store: CheckpointStore<Tx>,
  scope: string,
  id: string,
  effect: (tx: Tx) => T,
  { clock = systemClock }: OnceOptions = {},
): OnceOutcome<T> {
  checkLedger(store);
  checkNames(scope, id);
  return store.transaction((tx) => {
    const claim = store.claim(scope, id);
    if (claim?.state === 'done') return { ran: false, result: parsed<T>(claim.result) };
    if (claim !== undefined) throw new OnceInProgressError(scope, id);
    const result = refusePromise(effect(tx), `the effect of '${id}'`);
    store.saveClaim(scope, id, done(result, clock));
    return { ran: true, result };
  });
}

/**
 * The same for an effect that no transaction of the store can hold. What a crash, or a failure, leads to is for `mode` to say.
 * @throws {OnceInProgressError} if, at least once, another call is at it: do not confirm the delivery
 */
export async function onceAsync<T>(
  store: CheckpointStore<unknown>,
  scope: string,
  id: string,
  options: OnceAsyncOptions,
  effect: () => Promise<T> | T,
): Promise<OnceAsyncOutcome<T>> {
  checkLedger(store);
  checkNames(scope, id);
  const { mode, clock = systemClock } = options;
  if (mode !== 'at-most-once' && mode !== 'at-least-once') {
    throw new ConsumeOptionsError('mode to be at-most-once or at-least-once', mode);
  }
  const leaseMs = number('leaseMs', options.leaseMs, 60_000);
  const owner = clock.id();
  const earlier = store.transaction((): Claim | undefined => {
    const claim = store.claim(scope, id);
    const now = clock.wallNow();
    const isFree = claim === undefined || (claim.state === 'started' && isExpired(claim, now));
    if (!isFree) return claim;
    const expiresAt = mode === 'at-least-once' ? now + leaseMs : undefined;
    store.saveClaim(scope, id, { state: 'started', result: undefined, owner, at: now, expiresAt });
    return undefined;
  }, 'own');
  if (earlier?.state === 'done') return { ran: false, outcome: 'known', result: parsed<T>(earlier.result) };
  if (earlier !== undefined && mode === 'at-least-once') throw new OnceInProgressError(scope, id);
  if (earlier !== undefined) return { ran: false, outcome: 'unknown' };
  let result: T;
  try {
    result = await effect();
  } catch (error) {
    if (mode === 'at-least-once') giveBack(store, scope, id, owner);
    throw error;
  }
  // Fails this, the effect was had nevertheless: the claim stays, and what the mode says about a crash holds.
  store.transaction(() => store.saveClaim(scope, id, done(result, clock)), 'own');
  return { ran: true, outcome: 'known', result };
}

/**
 * Forgets what the ledger knows of ids claimed longer ago than `olderThanMs`; delivered again after that, they run again.
 * @returns how many
 */
export function pruneLedger(
  store: CheckpointStore<unknown>,
  options: OnceOptions & { readonly olderThanMs: number; readonly scope?: string | undefined },
): number {
  const { olderThanMs, scope, clock = systemClock } = options;
  if (!Number.isFinite(olderThanMs) || olderThanMs < 0) {
    throw new ConsumeOptionsError('olderThanMs to be a finite number of at least 0', olderThanMs);
  }
  checkLedger(store);
  return store.pruneClaims(clock.wallNow() - olderThanMs, scope);
}

function checkNames(scope: string, id: string): void {
  text('scope', scope);
  text('id', id);
}

/** Wall time may jump: a claim made in what is now the distant future is no reason to wait for it. */
function isExpired({ at, expiresAt }: Claim, now: number): boolean {
  return expiresAt !== undefined && Math.abs(now - at) >= expiresAt - at;
}

function done(result: unknown, clock: Clock): Claim {
  return { state: 'done', result: JSON.stringify(result), owner: '', at: clock.wallNow(), expiresAt: undefined };
}

function parsed<T>(result: string | undefined): T {
  // What was stringified under this scope and id was a T.
  return (result === undefined ? undefined : JSON.parse(result)) as T;
}

function giveBack(store: CheckpointStore<unknown>, scope: string, id: string, owner: string): void {
  try {
    store.transaction(() => {
      if (store.claim(scope, id)?.owner === owner) store.removeClaim(scope, id);
    }, 'own');
  } catch {
    // The effect's own error is the one to tell of; the claim expires by itself.
  }
}
