import { hasReached } from '../watch/hasReached.ts';
import type { Position } from '../watch/position.ts';
import type { Positioned, ReadOutcome } from '../watch/source.ts';
import { isAsync, type TransactionalConsumer } from './consumer.ts';
import { SourceError, StoreError } from './errors.ts';
import type { FencedStore } from './fencedStore.ts';
import { Flight } from './flight.ts';
import { applyGapPolicy, type Gap } from './gap.ts';
import { endOf, type Group, groupOf } from './group.ts';
import { advanced, type ConsumerRecord, undisturbed } from './record.ts';

/** What the loop ends with when somebody stops it. */
const stopped = new Error('the run was stopped');

/** What becomes due while a run waits for a slow handler. */
export interface Due {
  /** Brings records and consumers together, and lets those go on whose retry is due. */
  update(): void;
  /** Milliseconds until the next retry; undefined if there is none. */
  untilDue(): number | undefined;
}

/**
 * One run, under one lease: brings every consumer that is `active` or `booting` to where the head was when it began. The state
 * is in the store and nowhere else, so what others change there (somebody pauses a consumer) counts from the next batch on.
 */
export class Run<E, Tx> {
  /** Events handled, counted once for each consumer. */
  handled = 0;
  readonly #store: FencedStore<E, Tx>;
  readonly #due: Due;
  readonly #afterBatch: () => void;
  /** Asynchronous handlers at work: a slow one holds up its own consumer only. */
  readonly #flights = new Map<string, Flight<E, Tx>>();
  /** Whose changes the store did not take, or whose events cannot be had just now: nobody waits for them in this run. */
  readonly #leftOut = new Set<string>();
  #isStopped = false;
  #fault: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;
  /** Ends the waiting for the source. */
  #abandon: (() => void) | undefined;
  #isNudged = false;

  constructor(store: FencedStore<E, Tx>, due: Due, afterBatch: () => void) {
    this.#store = store;
    this.#due = due;
    this.#afterBatch = afterBatch;
  }

  /** There may be new events: consumers that are done need not wait for a slow one to hear of them. */
  nudge(): void {
    this.#isNudged = true;
    this.#wake?.();
  }

  /** Ends the run after the batch that is being handled; asynchronous handlers are aborted. */
  stop(): void {
    this.#isStopped = true;
    for (const flight of this.#flights.values()) flight.abort();
    this.#abandon?.();
    this.#wake?.();
  }

  /** Ends the run with an error. */
  fail(error: unknown): void {
    this.#fault ??= { error };
    this.stop();
  }

  /** @throws {StoreError|SourceError|LeaseLostError} what was committed before stays; nobody's position is beyond that */
  async toHead(): Promise<void> {
    try {
      await this.#loop();
    } catch (error) {
      if (error !== stopped) this.#fault ??= { error };
    }
    this.stop();
    await Promise.all([...this.#flights.values()].map((flight) => flight.ended));
    if (this.#fault !== undefined) throw this.#fault.error;
  }

  async #loop(): Promise<void> {
    const { clock, batchSize } = this.#store.settings;
    let goal = await this.#head();
    /** At `goal`, or beyond it: what came meanwhile is for those that are not slow. */
    let head = goal;
    await this.#checkBeyond(goal);
    while (!this.#isStopped) {
      // The run goes on for as long as a handler takes: nobody else waits for the next one.
      if (this.#flights.size > 0) this.#due.update();
      const records = this.#settleAt(goal);
      const booting = groupOf(records, 'booting', goal);
      // Only while there is somebody to wait for: whoever follows would else go on as long as somebody publishes.
      if (this.#isNudged && (booting !== undefined || this.#flights.size > 0)) {
        this.#isNudged = false;
        head = await this.#head();
      }
      // Those that follow come first: catching up with a long history holds nobody up.
      const group = groupOf(records, 'active', head) ?? booting;
      // With a fault the run does not wait for a slow handler: the next one tries again.
      if (group === undefined && (this.#flights.size === 0 || this.#fault !== undefined)) return;
      if (group === undefined) {
        await this.#anything();
        continue;
      }
      const outcome = await this.#readFor(group, batchSize);
      if (outcome === undefined) continue;
      if (outcome.kind === 'events') this.#deliver(group, outcome.events, outcome.through);
      else {
        for (const record of group.records) this.#apart(record, () => this.#onGap(record, group.lowest, outcome));
        // Another history has another head; in the one that ended there is nothing left to reach.
        if (outcome.head.epoch !== goal.epoch) {
          goal = outcome.head;
          head = goal;
        }
      }
      this.#afterBatch();
      // Lets the rest of the process live, however many events there are to catch up.
      await new Promise<void>((resolve) => clock.afterIo(resolve));
    }
  }

  /** Moves on who has reached the goal; returns all whose turn it could be. */
  #settleAt(goal: Position): ConsumerRecord[] {
    const { store, name, consumers } = this.#store.settings;
    const records: ConsumerRecord[] = [];
    for (const record of store.list(name)) {
      const consumer = consumers.get(record.id);
      if (consumer === undefined || this.#flights.has(record.id) || this.#leftOut.has(record.id)) continue;
      if (record.status !== 'booting' && record.status !== 'active') continue;
      const next = consumer.mode === 'to-head' ? 'finished' : 'active';
      if (next === record.status || !hasReached(record.position, goal)) records.push(record);
      else this.#moveOn(record, next, records);
    }
    return records;
  }

  #moveOn(record: ConsumerRecord, status: 'finished' | 'active', records: ConsumerRecord[]): void {
    this.#store.commit(() => {
      if (this.#store.load(record.id)?.revision !== record.revision) return;
      const next = undisturbed(record, status);
      this.#store.save(next);
      if (status === 'active') records.push({ ...next, revision: next.revision + 1 });
    });
  }

  #deliver(group: Group, events: readonly Positioned<E>[], through: Position | undefined): void {
    const end = endOf(group.lowest, events, through);
    if (events.length === 0) for (const record of group.records) this.#apart(record, () => this.#pass(record, end));
    for (const record of group.records) {
      const from = events.findIndex(({ position }) => position.offset > (record.position?.offset ?? 0));
      const consumer = this.#store.settings.consumers.get(record.id);
      if (from === -1 || consumer === undefined) continue;
      const own = from === 0 ? events : events.slice(from);
      if (isAsync(consumer)) {
        const count = () => {
          this.handled += 1;
        };
        const flight = new Flight(this.#store, consumer, record, own, count, (error) => this.fail(error));
        this.#flights.set(record.id, flight);
        void flight.ended.then(() => {
          this.#flights.delete(record.id);
          this.#afterBatch();
          this.#wake?.();
        });
      } else this.#apart(record, () => this.#handle(consumer, record, own));
    }
  }

  /**
   * What the store does not take of one consumer, such as a row that a deferred constraint refuses with the commit, is what the
   * run ends with, but not before the others have had their turn.
   */
  #apart(record: ConsumerRecord, change: () => void): void {
    try {
      change();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#fault ??= { error };
      this.#leftOut.add(record.id);
    }
  }

  /**
   * A batch in one transaction: effects, the position after the last good one and, if one failed, the failure. Each event has a
   * savepoint, so that of the one that failed nothing is left.
   */
  #handle(consumer: TransactionalConsumer<E, Tx>, record: ConsumerRecord, events: readonly Positioned<E>[]): void {
    let handled = 0;
    let fault: { readonly error: unknown } | undefined;
    this.#store.commit((tx) => {
      const current = this.#store.load(record.id);
      if (current?.revision !== record.revision) return;
      let next = current;
      for (const { event, position } of events) {
        fault = this.#store.attempt(`the handler of '${record.id}'`, () => consumer.handle(event, position, tx));
        if (fault !== undefined) return this.#store.saveFailed(next, 'HANDLER', fault.error, position);
        next = advanced(next, position);
        handled += 1;
      }
      this.#store.save(next);
    });
    this.handled += handled;
    if (fault !== undefined)
      this.#store.settings.onError({ kind: 'consumer', consumer: record.id, error: fault.error });
  }

  /** There is nothing for it up to there. */
  #pass(record: ConsumerRecord, position: Position): void {
    this.#store.commit(() => {
      const current = this.#store.load(record.id);
      if (current?.revision === record.revision && !hasReached(current.position, position))
        this.#store.save({ ...current, position });
    });
  }

  /** A position of this history that it has not come to yet: what was there got lost, as after a restored backup. */
  async #checkBeyond(head: Position): Promise<void> {
    const { store, name, consumers } = this.#store.settings;
    for (const record of store.list(name)) {
      const { status, position } = record;
      if (!consumers.has(record.id) || (status !== 'booting' && status !== 'active')) continue;
      if (position === undefined || position.epoch !== head.epoch || position.offset <= head.offset) continue;
      const outcome = await this.#readFor({ lowest: position, records: [record] }, 1);
      if (outcome?.kind === 'gap') this.#apart(record, () => this.#onGap(record, position, outcome));
    }
  }

  #onGap(record: ConsumerRecord, from: Position, gap: Gap): void {
    const consumer = this.#store.settings.consumers.get(record.id);
    // Of those that share a read, only they miss what the history has lost that are at its beginning.
    if (consumer === undefined || record.position?.offset !== from.offset) return;
    applyGapPolicy(this.#store, consumer, record, from, gap);
  }

  #anything(): Promise<void> {
    return new Promise((resolve) => {
      const untilDue = this.#due.untilDue();
      const cancelTimer =
        untilDue === undefined ? undefined : this.#store.settings.clock.after(untilDue, () => this.#wake?.());
      this.#wake = () => {
        this.#wake = undefined;
        cancelTimer?.();
        resolve();
      };
      if (this.#isNudged || this.#isStopped) this.#wake();
    });
  }

  #head(): Promise<Position> {
    return this.#ask('did not say where its head is', () => this.#store.settings.source.head());
  }

  /**
   * What is no longer held here is read from the origin, if there is another; it alone can tell a gap.
   * @returns undefined if it cannot be asked: whoever needs it waits for the next run, and holds up nobody else
   */
  async #readFor({ lowest, records }: Group, limit: number): Promise<ReadOutcome<E> | undefined> {
    const { source } = this.#store.settings;
    const what = `could not be read after ${lowest.epoch}:${lowest.offset}`;
    const outcome = await this.#ask(what, () => source.read(lowest, limit));
    if (outcome.kind === 'events' || source.readFromOrigin === undefined) return outcome;
    try {
      return await this.#ask(what, () => source.readFromOrigin?.(lowest, limit) ?? outcome);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      this.#fault ??= { error };
      for (const { id, position } of records) if (position?.offset === lowest.offset) this.#leftOut.add(id);
      return undefined;
    }
  }

  /** One at a time. A source that does not answer does not keep the run from being stopped. */
  async #ask<T>(failing: string, question: () => T | Promise<T>): Promise<T> {
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#abandon = () => reject(stopped);
        if (this.#isStopped) this.#abandon();
        else Promise.resolve(question()).then(resolve, reject);
      });
    } catch (error) {
      throw error === stopped ? stopped : new SourceError(`the source ${failing}`, error);
    } finally {
      this.#abandon = undefined;
    }
  }
}
