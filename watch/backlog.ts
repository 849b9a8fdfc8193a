import type { CancelTimer, Clock } from '../router/index.ts';
import type { TopicClient } from './attempt.ts';
import { BacklogReader } from './backlogReader.ts';
import { OriginError, showPosition, WatchClosedError } from './errors.ts';
import type { Position } from './position.ts';
import type { ReadOutcome } from './source.ts';
import { Turn, Turns } from './turns.ts';

/** Readers that are served at once, and subscriptions that are open for them; the others wait their turn. */
const MAX_OPEN = 8;
const TIMEOUT_MS = 30_000;
/** A reader that has not come back by then is served by another subscription when it does. */
const IDLE_MS = 10_000;

interface Idle<E> {
  readonly reader: BacklogReader<E>;
  readonly cancelTimer: CancelTimer;
}

/**
 * What a mirror does not hold any more, from its origin. Nothing is kept of it here but what one message of each open subscription
 * has brought beyond what was asked for; the rest waits at the origin until it is read.
 */
export class Backlog<E> {
  readonly #client: TopicClient<E>;
  readonly #clock: Clock;
  readonly #turns = new Turns(MAX_OPEN);
  readonly #busy = new Set<BacklogReader<E>>();
  /** Subscriptions that wait for their reader to come back, by where it stands; who has waited longest is the first. */
  readonly #idle = new Map<string, Idle<E>>();
  #isClosed = false;

  constructor(client: TopicClient<E>, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Reads as a source does. Rejects with {@link OriginError}: nothing is known then. */
  async read(after: Position, limit: number): Promise<ReadOutcome<E>> {
    const turn = await this.#turn();
    try {
      for (;;) {
        if (this.#isClosed) throw new WatchClosedError('reading');
        const reader = this.#takeIdle(after) ?? this.#open(after);
        const outcome = await this.#readFrom(reader, limit);
        // It has ended while it waited: another one says how it goes on.
        if (outcome !== undefined) return outcome;
      }
    } finally {
      this.#turns.leave(turn);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const { reader, cancelTimer } of this.#idle.values()) {
      cancelTimer();
      reader.close();
    }
    this.#idle.clear();
    for (const reader of this.#busy) reader.close(new WatchClosedError('reading'));
  }

  #turn(): Promise<Turn> {
    return new Promise((resolve) => {
      const turn: Turn = new Turn(() => resolve(turn));
      this.#turns.take(turn);
    });
  }

  #open(after: Position): BacklogReader<E> {
    const [oldest] = this.#idle.keys();
    if (oldest !== undefined && this.#idle.size + this.#busy.size >= MAX_OPEN) this.#forget(oldest);
    try {
      return new BacklogReader(this.#client, after);
    } catch (error) {
      throw new OriginError(`what follows ${showPosition(after)} could not be asked for`, { cause: error });
    }
  }

  async #readFrom(reader: BacklogReader<E>, limit: number): Promise<ReadOutcome<E> | undefined> {
    const cancelTimer = this.#clock.after(TIMEOUT_MS, () => {
      reader.close(
        new OriginError(`expected what follows ${showPosition(reader.position)} within ${TIMEOUT_MS} ms, got none`),
      );
    });
    this.#busy.add(reader);
    try {
      return await reader.read(limit);
    } finally {
      cancelTimer();
      this.#busy.delete(reader);
      this.#keep(reader);
    }
  }

  #keep(reader: BacklogReader<E>): void {
    const key = keyOf(reader.position);
    if (this.#isClosed || !reader.hasMore || this.#idle.has(key)) return reader.close();
    this.#idle.set(key, { reader, cancelTimer: this.#clock.after(IDLE_MS, () => this.#forget(key)) });
  }

  #takeIdle(after: Position): BacklogReader<E> | undefined {
    const key = keyOf(after);
    const idle = this.#idle.get(key);
    idle?.cancelTimer();
    this.#idle.delete(key);
    return idle?.reader;
  }

  #forget(key: string): void {
    const idle = this.#idle.get(key);
    this.#idle.delete(key);
    idle?.cancelTimer();
    idle?.reader.close();
  }
}

function keyOf({ epoch, offset }: Position): string {
  return `${offset} ${epoch}`;
}
