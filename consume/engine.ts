import type { Position } from '../watch/position.ts';
import { ConsumeOptionsError, EngineClosedError, LeaseLostError } from './errors.ts';
import { FencedStore } from './fencedStore.ts';
import { releaseLease, renewLease, takeLease } from './lease.ts';
import { type EngineOptions, type EngineSettings, settleOptions } from './options.ts';
import type { ConsumerRecord } from './record.ts';
import { Register } from './register.ts';
import { backoffMs } from './retry.ts';
import { Run } from './run.ts';
import type { Lease } from './store.ts';
import { Trigger } from './trigger.ts';
import { type ReachedOptions, Waiters } from './waiters.ts';

/**
 * How a run ended. `done`: at the head, but for consumers whose status says otherwise. `busy`: another runner has the lease.
 * `lost`: another runner took it over. `closed`: the engine was closed.
 */
export interface RunReport {
  readonly outcome: 'done' | 'busy' | 'lost' | 'closed';
  /** Events handled, counted once for each consumer. */
  readonly handled: number;
}

/** The consumers of one source. Made by {@link createEngine}. */
export interface Engine {
  /**
   * Starts consumers that are `new` (default: all that are) and brings them to the head. Those that were started before, by a
   * process that did not get to the end, go on.
   */
  boot(ids?: readonly string[]): Promise<RunReport>;
  /** Brings every consumer that was started to where the head is now. @throws {StoreError|SourceError} */
  run(): Promise<RunReport>;
  /** Runs now and after every append, retries what is due, and goes on after errors (`onError`), until it is stopped. @returns what stops it */
  follow(): () => void;
  pause(id: string): Promise<void>;
  /** Ends a pause or an error, or lets a `finished` consumer go on to what is the head now; nothing, if there is nothing to end. */
  reactivate(id: string): Promise<void>;
  /** Back to the start of the history, together with what the consumer's `reset` does; the next run catches up. */
  rebuild(id: string): Promise<void>;
  /** Forgets a consumer's record: of one that is gone for good, or to begin as new. */
  remove(id: string): Promise<void>;
  /** Every record in the store, ordered by id. */
  status(): Promise<ConsumerRecord[]>;
  /** Resolves once consumers have handled everything up to `position`. @throws {ReachedTimeoutError} it names who has not, and their status */
  reached(position: Position, options: ReachedOptions): Promise<void>;
  /** Ends the run and everything that waits; asynchronous handlers are aborted, and not waited for. */
  close(): Promise<void>;
}

/** @throws {ConsumeOptionsError} */
export function createEngine<E, Tx>(options: EngineOptions<E, Tx>): Engine {
  return new ConsumerEngine(settleOptions(options));
}

class ConsumerEngine<E, Tx> implements Engine {
  readonly #settings: EngineSettings<E, Tx>;
  readonly #register: Register<E, Tx>;
  readonly #waiters: Waiters<E, Tx>;
  readonly #trigger: Trigger<RunReport>;
  /** Names this engine as the owner of a lease. */
  readonly #owner: string;
  #current: Run<E, Tx> | undefined;
  #followers = 0;
  #endFollowing: (() => void) | undefined;
  /** The one timer of a follower: for what is due, or to try again. */
  #cancelTimer: (() => void) | undefined;
  /** Runs in a row that ended with an error. */
  #failures = 0;
  #isClosed = false;

  constructor(settings: EngineSettings<E, Tx>) {
    this.#settings = settings;
    this.#owner = settings.clock.id();
    this.#register = new Register(settings);
    this.#waiters = new Waiters(settings, () => this.#register.list());
    this.#trigger = new Trigger(() => this.#runOnce());
  }

  async boot(ids?: readonly string[]): Promise<RunReport> {
    this.#assertOpen();
    const all = [...this.#settings.consumers.keys()];
    if (ids !== undefined) this.#register.check(ids);
    const head = await this.#settings.source.head();
    this.#assertOpen();
    this.#register.boot(ids ?? all, head);
    return this.#fire();
  }

  async run(): Promise<RunReport> {
    this.#assertOpen();
    return this.#fire();
  }

  follow(): () => void {
    this.#assertOpen();
    if (this.#followers === 0) this.#endFollowing = this.#settings.source.onAppend(() => this.#followOn());
    this.#followers += 1;
    this.#followOn();
    let isStopped = false;
    return () => {
      if (isStopped) return;
      isStopped = true;
      this.#followers -= 1;
      if (this.#followers === 0) this.#stopFollowing();
    };
  }

  async pause(id: string): Promise<void> {
    this.#assertOpen();
    this.#register.pause(id);
  }

  async reactivate(id: string): Promise<void> {
    this.#assertOpen();
    this.#register.reactivate(id);
    this.#changed();
  }

  async rebuild(id: string): Promise<void> {
    this.#assertOpen();
    this.#register.check([id]);
    const head = await this.#settings.source.head();
    this.#assertOpen();
    this.#register.rebuild(id, head);
    this.#changed();
  }

  async remove(id: string): Promise<void> {
    this.#assertOpen();
    this.#register.remove(id);
  }

  async status(): Promise<ConsumerRecord[]> {
    this.#assertOpen();
    return this.#register.list();
  }

  async reached(position: Position, options: ReachedOptions): Promise<void> {
    this.#assertOpen();
    if (!Number.isFinite(options?.timeoutMs) || options.timeoutMs < 0) {
      throw new ConsumeOptionsError('timeoutMs to be a finite number of at least 0', options?.timeoutMs);
    }
    if (typeof position?.epoch !== 'string' || !Number.isSafeInteger(position.offset)) {
      throw new ConsumeOptionsError('a position {epoch, offset}', position);
    }
    if (options.ids !== undefined) this.#register.check(options.ids);
    await this.#waiters.add(position, options);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#followers = 0;
    this.#stopFollowing();
    this.#waiters.close();
    this.#current?.stop();
    await this.#trigger.idle();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new EngineClosedError(this.#settings.name);
  }

  #fire(): Promise<RunReport> {
    this.#current?.nudge();
    return this.#trigger.fire();
  }

  /** For those that follow: what an operation has made possible is done without waiting for the next event. */
  #changed(): void {
    if (this.#followers > 0) this.#followOn();
  }

  #followOn(): void {
    // Reported where it happens; there is nobody here to tell.
    this.#fire().catch(() => undefined);
  }

  #stopFollowing(): void {
    this.#endFollowing?.();
    this.#endFollowing = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  async #runOnce(): Promise<RunReport> {
    let waitMs: number | undefined;
    try {
      const { report, freeAt } = await this.#runLeased();
      this.#failures = 0;
      waitMs = freeAt === undefined ? this.#register.untilDue() : this.#untilFree(freeAt);
      return report;
    } catch (error) {
      this.#failures += 1;
      waitMs = backoffMs(this.#settings, this.#failures);
      this.#settings.onError({ kind: 'run', error });
      throw error;
    } finally {
      this.#wakeIn(waitMs);
      this.#waiters.check();
    }
  }

  async #runLeased(): Promise<{ report: RunReport; freeAt?: number }> {
    const { store, name, clock, leaseMs } = this.#settings;
    if (this.#isClosed) return { report: { outcome: 'closed', handled: 0 } };
    const outcome = takeLease(store, name, this.#owner, clock.wallNow(), leaseMs);
    if (outcome.lease === undefined) return { report: { outcome: 'busy', handled: 0 }, freeAt: outcome.freeAt };
    const { lease } = outcome;
    const run = new Run<E, Tx>(new FencedStore(this.#settings, lease), this.#register, () => this.#waiters.check());
    this.#current = run;
    const cancelRenewal = clock.every(leaseMs / 3, () => this.#renew(run, lease));
    try {
      this.#register.update();
      await run.toHead();
      return { report: { outcome: this.#isClosed ? 'closed' : 'done', handled: run.handled } };
    } catch (error) {
      if (!(error instanceof LeaseLostError)) throw error;
      return { report: { outcome: 'lost', handled: run.handled }, freeAt: clock.wallNow() + leaseMs };
    } finally {
      cancelRenewal();
      this.#current = undefined;
      this.#release(lease);
    }
  }

  #renew(run: Run<E, Tx>, lease: Lease): void {
    const { store, name, clock } = this.#settings;
    try {
      renewLease(store, name, lease, clock.wallNow());
    } catch (error) {
      if (error instanceof LeaseLostError) run.fail(error);
      // Otherwise it is tried again; and nothing is committed under a lease that somebody else has taken meanwhile.
      else this.#settings.onError({ kind: 'lease', error });
    }
  }

  #release(lease: Lease): void {
    try {
      releaseLease(this.#settings.store, this.#settings.name, lease);
    } catch (error) {
      // It expires by itself.
      this.#settings.onError({ kind: 'lease', error });
    }
  }

  /** What was appended meanwhile is for whoever has the lease; unless it crashes, in which case it is for us. */
  #untilFree(freeAt: number): number {
    const { clock, pollMs } = this.#settings;
    return Math.min(pollMs * (1 + clock.random()), Math.max(0, freeAt - clock.wallNow()));
  }

  #wakeIn(ms: number | undefined): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (ms === undefined || this.#followers === 0) return;
    this.#cancelTimer = this.#settings.clock.after(ms, () => {
      this.#cancelTimer = undefined;
      this.#followOn();
    });
  }
}
