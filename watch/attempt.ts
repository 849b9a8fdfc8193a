import {
  type Clock,
  type ErrorPayload,
  onceTransportClosed,
  type Readable,
  UNCAUGHT_ERROR_CODE,
} from '../router/index.ts';
import { WatchClosedError } from './errors.ts';
import { beginningOf, type LocalSource } from './localSource.ts';
import type { TopicMessage, TopicRequest } from './messages.ts';

/**
 * A subscription procedure of a client, as {@link watch} needs it: `client.docs.changes`. Of one that you make yourself nobody knows its
 * transport: what follows it goes on trying when that was closed, until it is disposed of.
 */
export interface TopicClient<E> {
  subscribe(init: TopicRequest): { resReadable: Readable<TopicMessage<E>, ErrorPayload> };
}

/** Where one attempt to follow a topic delivers. */
export interface AttemptSink<E> {
  onMessage(message: TopicMessage<E>): void;
  /** It is over; of itself, or with an error. */
  onEnd(error: ErrorPayload | undefined): void;
}

/** Begins one attempt. What it returns revokes it: nothing is delivered after that, whatever still arrives. */
export interface OpenAttempt<E> {
  (request: TopicRequest, sink: AttemptSink<E>): () => void;
  /**
   * Calls `fn` when there is nobody to be asked any more, for good; at once if that is so.
   * @returns what withdraws it
   */
  onceOver?: ((fn: (error: WatchClosedError) => void) => () => void) | undefined;
}

/** Attempts over a client. */
export function remoteAttempts<E>(client: TopicClient<E>): OpenAttempt<E> {
  const open: OpenAttempt<E> = (request, sink) => {
    let isRevoked = false;
    let resReadable: Readable<TopicMessage<E>, ErrorPayload> | undefined;
    const read = async (): Promise<void> => {
      let error: ErrorPayload | undefined;
      try {
        ({ resReadable } = client.subscribe(request));
        for await (const result of resReadable) {
          if (isRevoked) return;
          if (result.ok) sink.onMessage(result.payload);
          else error = result.payload;
          if (isRevoked) return; // by what was delivered
        }
      } catch (thrown) {
        error = { code: UNCAUGHT_ERROR_CODE, message: thrown instanceof Error ? thrown.message : String(thrown) };
      }
      if (!isRevoked) sink.onEnd(error);
    };
    void read();
    return () => {
      isRevoked = true;
      resReadable?.break();
    };
  };
  open.onceOver = (fn) =>
    onceTransportClosed(client, (clientId) => fn(new WatchClosedError('following', `transport ${clientId}`)));
  return open;
}

const LOCAL_BATCH = 256;

/** Attempts over a source in this process. They end only by being revoked. */
export function localAttempts<E>(
  source: LocalSource<E>,
  key: ((event: E) => string) | undefined,
  clock: Clock,
): OpenAttempt<E> {
  return (request, sink) => {
    try {
      return new LocalAttempt(source, key, clock, request, sink).revoke;
    } catch (error) {
      // The source was closed: the same as a server that has stopped.
      let isRevoked = false;
      const message = error instanceof Error ? error.message : String(error);
      queueMicrotask(() => !isRevoked && sink.onEnd({ code: UNCAUGHT_ERROR_CODE, message }));
      return () => {
        isRevoked = true;
      };
    }
  };
}

class LocalAttempt<E> {
  readonly #source: LocalSource<E>;
  readonly #isWanted: (event: E) => boolean;
  readonly #clock: Clock;
  readonly #sink: AttemptSink<E>;
  readonly #stopListening: () => void;
  #cursor;
  #isScheduled = true;
  #cancelTurn: (() => void) | undefined;
  #isRevoked = false;

  constructor(
    source: LocalSource<E>,
    key: ((event: E) => string) | undefined,
    clock: Clock,
    request: TopicRequest,
    sink: AttemptSink<E>,
  ) {
    this.#source = source;
    this.#clock = clock;
    this.#sink = sink;
    const { keys } = request;
    const wanted = keys === undefined ? undefined : new Set(keys);
    this.#isWanted = (event) => wanted === undefined || (key !== undefined && wanted.has(key(event)));
    const beginning = beginningOf(source, request);
    this.#cursor = beginning.position;
    this.#stopListening = source.onAppend(() => this.#schedule()); // last: what throws above leaves nobody listening
    // Not before whoever opened this knows what it has opened.
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#isRevoked) return;
      sink.onMessage({ type: 'ready', ...beginning });
      this.#pump();
    });
  }

  readonly revoke = (): void => {
    this.#isRevoked = true;
    this.#cancelTurn?.();
    this.#stopListening();
  };

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#isRevoked || this.#isScheduled) return;
    try {
      this.#deliver();
    } catch (error) {
      // The source cannot be read, or a key not be told: nobody's call, and as good as a server that fails.
      this.revoke();
      const message = error instanceof Error ? error.message : String(error);
      this.#sink.onEnd({ code: UNCAUGHT_ERROR_CODE, message });
    }
  }

  #deliver(): void {
    const outcome = this.#source.read(this.#cursor, LOCAL_BATCH);
    if (outcome.kind === 'gap') {
      this.#cursor = outcome.head;
      this.#sink.onMessage({ type: 'reset', position: outcome.head });
      return;
    }
    const last = outcome.events.at(-1)?.position;
    if (last === undefined) {
      // Not the source's head: another process may have published since.
      const { through } = outcome;
      if (through === undefined || through.offset === this.#cursor.offset) return;
      this.#cursor = through;
      this.#sink.onMessage({ type: 'progress', position: through });
      return;
    }
    this.#cursor = last;
    const events = outcome.events.flatMap(({ position: { offset }, event }) =>
      this.#isWanted(event) ? [{ offset, event }] : [],
    );
    const { epoch, offset } = last;
    // More may follow: others have their turn first.
    this.#isScheduled = true;
    this.#cancelTurn = this.#clock.afterIo(() => {
      this.#isScheduled = false;
      this.#pump();
    });
    this.#sink.onMessage(
      events.length > 0 ? { type: 'events', epoch, through: offset, events } : { type: 'progress', position: last },
    );
  }
}
