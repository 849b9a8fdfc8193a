import { HoldfastError } from '../../../../../transport/errors.ts';
import type { Position } from '../../../../../watch/position.ts';
import { type CollectionClient, watchCollection } from '../../../../../watch/watchCollection.ts';
import type { Watch } from '../../../../../watch/watchCore.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import type { Whereabouts } from './rooms.ts';
import type { RoomTruth } from './roomTruth.ts';

const REACHED_CODES = ['REACHED_TIMEOUT', 'OTHER_EPOCH', 'WATCH_CLOSED'];

/** A roster that a process watches, all of it or of some people: whenever it changes, it is what it was at its position. */
export class RosterWatch {
  readonly #context: ChainContext;
  readonly #truth: RoomTruth;
  readonly #keys: readonly string[] | undefined;
  readonly #watch: Watch<ReadonlyMap<string, Whereabouts>>;
  waiting = 0;

  constructor(
    context: ChainContext,
    truth: RoomTruth,
    client: CollectionClient<Whereabouts>,
    keys: readonly string[] | undefined,
  ) {
    const { clock } = context;
    this.#context = context;
    this.#truth = truth;
    this.#keys = keys;
    const resyncMs = clock.random() < 0.7 ? Number.POSITIVE_INFINITY : 15_000;
    this.#watch = watchCollection(client, { keys, clock, resyncMs, loadTimeoutMs: 5_000 });
    this.#watch.onChange(() => this.#onChange());
  }

  async reach(position: Position): Promise<void> {
    this.waiting += 1;
    try {
      await this.#watch.reached(position, { timeoutMs: 10_000 });
      this.#onChange();
      const there = this.#watch.position;
      if (there?.epoch === position.epoch && there.offset < position.offset)
        this.#fail(`reached ${position.offset} at ${there.offset}`);
    } catch (error) {
      const code = error instanceof HoldfastError ? error.code : String(error);
      if (!REACHED_CODES.includes(code)) this.#fail(`waiting for a position ended with ${code}`);
    } finally {
      this.waiting -= 1;
    }
  }

  /** What is wrong when everything should have arrived, if anything. */
  behind(owner: Position): string | undefined {
    const { state, position, value, error } = this.#watch;
    if (state !== 'live') return `${this.#name} is ${state}: ${String(error)}`;
    if (position?.epoch !== owner.epoch || position.offset !== owner.offset)
      return `${this.#name} stands at ${position?.offset} of ${position?.epoch}, its owner at ${owner.offset} of ${owner.epoch}`;
    return value === undefined ? `${this.#name} has no value` : this.#faultOf(value, position);
  }

  dispose(): void {
    const { resets, unrecoveredResubscribes } = this.#watch.stats;
    if (resets + unrecoveredResubscribes > 0) this.#context.did('rosters that were reset');
    this.#watch.dispose();
  }

  get #name(): string {
    return this.#keys === undefined ? 'its roster' : 'its roster of some';
  }

  /** Invariant 13. */
  #onChange(): void {
    const { value, position } = this.#watch;
    if (value === undefined || position === undefined) return;
    const fault = this.#faultOf(value, position);
    if (fault !== undefined) this.#fail(fault);
  }

  #faultOf(value: ReadonlyMap<string, Whereabouts>, position: Position): string | undefined {
    return this.#truth.faultOf(value, position, (who) => this.#keys?.includes(who) ?? true);
  }

  #fail(message: string): void {
    this.#context.fail('13', `${this.#name} ${message}`);
  }
}
