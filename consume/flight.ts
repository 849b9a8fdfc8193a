import type { Position } from '../watch/position.ts';
import type { Positioned } from '../watch/source.ts';
import type { AsyncConsumer } from './consumer.ts';
import { HandlerTimeoutError } from './errors.ts';
import type { FencedStore } from './fencedStore.ts';
import { advanced, type ConsumerRecord, samePosition } from './record.ts';

/** Why a handler is not waited for any more. */
const aborted = new Error('the run ended');

/** A batch on its way through an asynchronous handler, one event after the other. */
export class Flight<E, Tx> {
  /** Never rejects. */
  readonly ended: Promise<void>;
  readonly #store: FencedStore<E, Tx>;
  readonly #consumer: AsyncConsumer<E, Tx>;
  #isAborted = false;
  #abortHandler: (() => void) | undefined;

  /**
   * @param onHandled after every event that is done with
   * @param onFault what the run must end with: the store failed, or the lease is lost
   */
  constructor(
    store: FencedStore<E, Tx>,
    consumer: AsyncConsumer<E, Tx>,
    record: ConsumerRecord,
    events: readonly Positioned<E>[],
    onHandled: () => void,
    onFault: (error: unknown) => void,
  ) {
    this.#store = store;
    this.#consumer = consumer;
    this.ended = this.#fly(record, events, onHandled).catch(onFault);
  }

  abort(): void {
    this.#isAborted = true;
    this.#abortHandler?.();
  }

  async #fly(record: ConsumerRecord, events: readonly Positioned<E>[], onHandled: () => void): Promise<void> {
    const isSavedFirst = this.#consumer.effects === 'at-most-once';
    let expected: ConsumerRecord | undefined = record;
    for (const { event, position } of events) {
      if (this.#isAborted) return;
      expected = isSavedFirst ? this.#advance(expected, position, true) : this.#unchanged(expected);
      if (expected === undefined) return;
      try {
        await this.#call(event, position, expected.attempt);
      } catch (error) {
        if (error !== aborted) this.#saveFailure(expected, error, position);
        return;
      }
      // What was done counts although somebody may have paused the consumer meanwhile; and it ends a row of failures.
      if (!isSavedFirst || expected.attempt > 0) expected = this.#advance(expected, position, false);
      onHandled();
      if (expected === undefined || expected.status !== record.status) return;
    }
  }

  /** Saves that everything up to `position` is done; undefined if the consumer is somewhere else by now. */
  #advance(expected: ConsumerRecord, position: Position, mustRun: boolean): ConsumerRecord | undefined {
    return this.#store.commit(() => {
      const current = this.#unmoved(expected);
      if (current === undefined || (mustRun && current.status !== expected.status)) return undefined;
      // A success is known only afterwards, where the position is saved first.
      const next = { ...advanced(current, position), attempt: mustRun ? current.attempt : 0 };
      this.#store.save(next);
      return { ...next, revision: next.revision + 1 };
    });
  }

  #unchanged(expected: ConsumerRecord): ConsumerRecord | undefined {
    const current = this.#unmoved(expected);
    return current?.status === expected.status ? current : undefined;
  }

  #unmoved(expected: ConsumerRecord): ConsumerRecord | undefined {
    const current = this.#store.load(expected.id);
    const isSame = current?.generation === expected.generation && samePosition(current.position, expected.position);
    return isSame ? current : undefined;
  }

  #saveFailure(expected: ConsumerRecord, error: unknown, position: Position): void {
    this.#store.commit(() => {
      const current = this.#unchanged(expected);
      if (current !== undefined) this.#store.saveFailed(current, 'HANDLER', error, position);
    });
    this.#store.settings.onError({ kind: 'consumer', consumer: expected.id, error });
  }

  /** Waits for the handler, but no longer than it may take, and not beyond the end of the run. */
  async #call(event: E, position: Position, attempt: number): Promise<void> {
    const { id, timeoutMs = 30_000 } = this.#consumer;
    const controller = new AbortController();
    let cancelTimer: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const giveUp = (reason: Error) => {
          reject(reason);
          controller.abort(reason);
        };
        this.#abortHandler = () => giveUp(aborted);
        cancelTimer = this.#store.settings.clock.after(timeoutMs, () => giveUp(new HandlerTimeoutError(id, timeoutMs)));
        const handled = (async () => this.#consumer.handle(event, position, { signal: controller.signal, attempt }))();
        handled.then(() => resolve(), reject);
      });
    } finally {
      cancelTimer?.();
      this.#abortHandler = undefined;
    }
  }
}
