import type { Position } from '../watch/position.ts';
import { ConsumerStatusError, UnknownConsumerError } from './errors.ts';
import type { EngineSettings } from './options.ts';
import { attached, type ConsumerRecord, discovered, disturbed, undisturbed } from './record.ts';
import { isDue } from './retry.ts';
import type { ConsumerStatus } from './status.ts';
import { refusePromise } from './transaction.ts';

/** The records of an engine, and everything that is done to them but handling events. Each change is a transaction. */
export class Register<E, Tx> {
  readonly #settings: EngineSettings<E, Tx>;

  constructor(settings: EngineSettings<E, Tx>) {
    this.#settings = settings;
  }

  list(): ConsumerRecord[] {
    return this.#settings.store.list(this.#settings.name);
  }

  /** Brings records and consumers together: new ones, those that are gone, those that are back; and retries what is due. */
  update(): void {
    if (this.#changes().length === 0) return;
    this.#commit(() => {
      for (const record of this.#changes()) this.#save(record);
    });
  }

  /** Milliseconds until the next retry of a consumer in `error`; undefined if there is none. */
  untilDue(): number | undefined {
    const { clock, retryMaxMs, consumers } = this.#settings;
    const times = this.list().flatMap(({ id, error }) =>
      error?.retryAt === undefined || !consumers.has(id) ? [] : [error.retryAt],
    );
    if (times.length === 0) return undefined;
    return Math.min(retryMaxMs, Math.max(0, Math.min(...times) - clock.wallNow()));
  }

  #changes(): ConsumerRecord[] {
    const { consumers, clock, retryMaxMs } = this.#settings;
    const records = this.list();
    const changes: ConsumerRecord[] = [];
    for (const record of records) {
      const retryAt = record.status === 'error' ? record.error?.retryAt : undefined;
      if (!consumers.has(record.id)) {
        if (record.status !== 'detached') changes.push(disturbed(record, 'detached'));
      } else if (record.status === 'detached') changes.push(attached(record));
      else if (retryAt !== undefined && isDue(retryAt, clock.wallNow(), retryMaxMs)) {
        changes.push(undisturbed(record, record.resumes));
      }
    }
    for (const id of consumers.keys()) if (!records.some((record) => record.id === id)) changes.push(discovered(id));
    return changes;
  }

  /** Starts those of `ids` that are new. */
  boot(ids: readonly string[], head: Position): void {
    const start = { epoch: head.epoch, offset: 0 };
    this.#commit(() => {
      for (const id of ids) {
        const record = this.#known(id);
        if (record.status !== 'new') continue;
        const position = this.#settings.consumers.get(id)?.from === 'head' ? head : start;
        this.#save({ ...undisturbed(record, 'booting'), position });
      }
    });
  }

  pause(id: string): void {
    this.#commit(() => {
      const record = this.#known(id);
      if (record.status === 'paused') return;
      refuse(record, 'pausing', ['new', 'booting', 'active', 'error']);
      this.#save({ ...disturbed(record, 'paused'), error: undefined });
    });
  }

  reactivate(id: string): void {
    this.#commit(() => {
      const record = this.#known(id);
      if (record.status === record.resumes && record.status !== 'finished') return;
      this.#save({ ...undisturbed(record, record.status === 'finished' ? 'booting' : record.resumes), attempt: 0 });
    });
  }

  /** Back to the start of the history, with whatever the consumer's `reset` does, in one transaction. */
  rebuild(id: string, head: Position): void {
    this.#commit((tx) => {
      const record = this.#known(id);
      refuse(record, 'rebuilding', ['booting', 'active', 'paused', 'finished', 'error']);
      refusePromise(this.#settings.consumers.get(id)?.reset?.(tx), `the reset of '${id}'`);
      this.#save({
        ...undisturbed(record, 'booting'),
        position: { epoch: head.epoch, offset: 0 },
        attempt: 0,
        generation: record.generation + 1,
      });
    });
  }

  /** Forgets a record; a consumer that is still there is new again. */
  remove(id: string): void {
    this.#commit(() => {
      const { store, name, consumers } = this.#settings;
      if (store.load(name, id) === undefined && !consumers.has(id)) this.#unknown(id);
      store.remove(name, id);
    });
  }

  /** @throws {UnknownConsumerError} */
  check(ids: readonly string[]): void {
    for (const id of ids) if (!this.#settings.consumers.has(id)) this.#unknown(id);
  }

  #known(id: string): ConsumerRecord {
    if (!this.#settings.consumers.has(id)) this.#unknown(id);
    const record = this.#settings.store.load(this.#settings.name, id) ?? discovered(id);
    return record.status === 'detached' ? attached(record) : record;
  }

  #unknown(id: string): never {
    throw new UnknownConsumerError(id, [...this.#settings.consumers.keys()]);
  }

  #save(record: ConsumerRecord): void {
    if (this.#settings.store.save(this.#settings.name, record)) return;
    // Read in the same transaction.
    throw new Error(`'${record.id}' was changed in the middle of a transaction`);
  }

  #commit(fn: (tx: Tx) => void): void {
    this.#settings.store.transaction(fn, 'own');
  }
}

function refuse(record: ConsumerRecord, doing: string, expected: readonly ConsumerStatus[]): void {
  if (!expected.includes(record.status)) throw new ConsumerStatusError(record.id, doing, expected, record.status);
}
