import { type Clock, systemClock } from '../router/index.ts';
import { misshapen } from '../watch/shape.ts';
import type { EventSource } from '../watch/source.ts';
import { type Consumer, gapPolicies } from './consumer.ts';
import { ConsumeOptionsError } from './errors.ts';
import type { CheckpointStore } from './store.ts';

/** How long a consumer that failed waits: `baseMs`, doubled with every failure up to `maxMs`, half of it at random. */
export interface RetryOptions {
  readonly baseMs?: number | undefined;
  readonly maxMs?: number | undefined;
}

/** Something failed that the engine goes on after. */
export interface EngineFault {
  /** `consumer`: it is in `error` now. `run`: a run ended with it and is retried while somebody follows. `lease`: it could not be renewed. */
  readonly kind: 'consumer' | 'run' | 'lease';
  readonly consumer?: string;
  readonly error: unknown;
}

/** Options of `createEngine`. */
export interface EngineOptions<E, Tx> {
  readonly source: EventSource<E>;
  readonly store: CheckpointStore<Tx>;
  readonly consumers: readonly Consumer<NoInfer<E>, NoInfer<Tx>>[];
  /** Tells engines on one store apart; engines of one name share records and one lease. Default `default`. */
  readonly name?: string | undefined;
  readonly clock?: Clock | undefined;
  /** Events per read and per transaction. Default 500. */
  readonly batchSize?: number | undefined;
  /** Defaults 1 000 and 60 000. */
  readonly retry?: RetryOptions | undefined;
  /** After so many milliseconds without a sign of life somebody else may run the consumers. Default 10 000. */
  readonly leaseMs?: number | undefined;
  /** How often to look at the store while somebody waits for another process. Default 200. */
  readonly pollMs?: number | undefined;
  /** Hears of what the engine goes on after. What it throws is ignored. */
  readonly onError?: ((fault: EngineFault) => void) | undefined;
}

/** The options with every default filled in. */
export interface EngineSettings<E, Tx> {
  readonly source: EventSource<E>;
  readonly store: CheckpointStore<Tx>;
  readonly consumers: ReadonlyMap<string, Consumer<E, Tx>>;
  readonly name: string;
  readonly clock: Clock;
  readonly batchSize: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly onError: (fault: EngineFault) => void;
}

/** @throws {ConsumeOptionsError} */
export function settleOptions<E, Tx>(options: EngineOptions<E, Tx>): EngineSettings<E, Tx> {
  const { source, store, clock = systemClock, onError = () => undefined } = options;
  if (typeof source?.read !== 'function' || typeof source.head !== 'function') {
    throw new ConsumeOptionsError('source to have head(), read() and onAppend()', source);
  }
  checkStore(store);
  if (typeof onError !== 'function') throw new ConsumeOptionsError('onError to be a function', onError);
  const retryBaseMs = number('retry.baseMs', options.retry?.baseMs, 1_000);
  const retryMaxMs = number('retry.maxMs', options.retry?.maxMs, Math.max(60_000, retryBaseMs));
  if (retryMaxMs < retryBaseMs) {
    throw new ConsumeOptionsError(`retry.maxMs to be at least retry.baseMs (${retryBaseMs})`, retryMaxMs);
  }
  const batchSize = number('batchSize', options.batchSize, 500);
  if (!Number.isInteger(batchSize)) throw new ConsumeOptionsError('batchSize to be an integer', batchSize);
  return {
    source,
    store,
    consumers: byId(options.consumers),
    name: text('name', options.name ?? 'default'),
    clock,
    batchSize,
    retryBaseMs,
    retryMaxMs,
    leaseMs: number('leaseMs', options.leaseMs, 10_000),
    pollMs: number('pollMs', options.pollMs, 200),
    onError: (fault) => {
      // Nothing that the application's callback throws may end a run, nor the process.
      void (async () => onError(fault))().catch(() => undefined);
    },
  };
}

const STORE_METHODS = ['transaction', 'list', 'load', 'save', 'remove', 'lease', 'saveLease'];
const LEDGER_METHODS = ['transaction', 'claim', 'saveClaim', 'removeClaim', 'pruneClaims'];

/** @throws {ConsumeOptionsError} for what is no store, such as the database of one: some have a `transaction`, too */
export function checkStore(store: unknown, methods: readonly string[] = STORE_METHODS): void {
  if (misshapen(store, methods) !== undefined)
    throw new ConsumeOptionsError('store to be a CheckpointStore, such as a SqliteCheckpointStore', store);
}

/** The same of a store of which the ledger alone is used. */
export function checkLedger(store: unknown): void {
  checkStore(store, LEDGER_METHODS);
}

function byId<E, Tx>(consumers: readonly Consumer<E, Tx>[]): Map<string, Consumer<E, Tx>> {
  if (!Array.isArray(consumers)) throw new ConsumeOptionsError('consumers to be an array', consumers);
  const map = new Map<string, Consumer<E, Tx>>();
  for (const consumer of consumers) {
    const id = text('the id of a consumer', consumer?.id);
    if (map.has(id)) throw new ConsumeOptionsError('the ids of consumers to differ', id);
    if (typeof consumer.handle !== 'function')
      throw new ConsumeOptionsError(`${id}.handle to be a function`, undefined);
    if (consumer.reset !== undefined && typeof consumer.reset !== 'function') {
      throw new ConsumeOptionsError(`${id}.reset to be a function`, consumer.reset);
    }
    oneOf(`${id}.effects`, consumer.effects, ['transactional', 'at-least-once', 'at-most-once']);
    oneOf(`${id}.mode`, consumer.mode, ['forever', 'to-head']);
    oneOf(`${id}.from`, consumer.from, ['start', 'head']);
    oneOf(`${id}.onGap`, consumer.onGap, gapPolicies);
    if ('timeoutMs' in consumer) number(`${id}.timeoutMs`, consumer.timeoutMs, 1);
    map.set(id, consumer);
  }
  return map;
}

function oneOf(name: string, value: string | undefined, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value)) {
    throw new ConsumeOptionsError(`${name} to be one of ${allowed.join(', ')}`, value);
  }
}

/** @throws {ConsumeOptionsError} unless it is text of 1 to 200 characters */
export function text(name: string, value: unknown): string {
  if (!(typeof value === 'string' && value.length > 0 && value.length <= 200))
    throw new ConsumeOptionsError(`${name} to be text of 1 to 200 characters`, value);
  // A database makes the same of them all: two names would be one.
  if (/\p{Surrogate}/u.test(value)) throw new ConsumeOptionsError(`${name} to have no lone surrogates`, value);
  return value;
}

/** @throws {ConsumeOptionsError} unless it is a finite number of at least 1 */
export function number(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (Number.isFinite(value) && value >= 1) return value;
  throw new ConsumeOptionsError(`${name} to be a finite number of at least 1`, value);
}
