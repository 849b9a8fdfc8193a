import type { CancelTimer, Clock } from '../transport/clock.ts';
import { InvalidOptionsError } from '../transport/errors.ts';
import type { IdempotencyTerms } from '../transport/extensions.ts';
import type { LogFields, LogLevel } from '../transport/log.ts';
import type { CallKey, FirstAttempt } from '../transport/message.ts';
import { decodeStored, encodeStored } from '../transport/storedValue.ts';
import { Calendar } from './calendar.ts';
import {
  type ErrorPayload,
  IDEMPOTENCY_KEY_REUSED_CODE,
  IDEMPOTENCY_STORE_FULL_CODE,
  OUTCOME_UNKNOWN_CODE,
  UNCAUGHT_ERROR_CODE,
} from './errors.ts';
import type { ClaimAnswer, IdempotencyStore } from './idempotencyStore.ts';
import { type Attempt, KeyedRun, type RunHost } from './keyedRun.ts';
import { requestHash } from './requestHash.ts';
import type { AnyResult } from './response.ts';
import { Err, isResult } from './result.ts';

/** How a server makes calls repeatable. */
export interface IdempotencyOptions {
  /** Where outcomes are kept. */
  store: IdempotencyStore;
  /** For how long, at least; clients do not repeat a call later. Ten minutes. */
  ttlMs?: number | undefined;
}

/** What keyed calls need of their server. */
export interface KeyedCallsHost {
  readonly clock: Clock;
  readonly exposeErrorMessages: boolean;
  readonly stripUndeclared: boolean;
  began(): void;
  done(): void;
  log(level: LogLevel, message: string, fields: LogFields): void;
}

const DEFAULT_TTL_MS = 10 * 60_000;
const MAX_INSTANCE_LENGTH = 64;
/** Client and server count from points that differ by the time a handshake request is under way: what is promised is kept for longer. */
const KEEP_LONGER_MS = 60_000;
/** Bounds of the time between two looks for what has expired; between them it is a quarter of `ttlMs`. */
const MIN_PRUNE_MS = 1_000;
const MAX_PRUNE_MS = 60_000;

const INTERNAL: ErrorPayload = Object.freeze({ code: UNCAUGHT_ERROR_CODE, message: 'internal server error' });
const REUSED: ErrorPayload = Object.freeze({
  code: IDEMPOTENCY_KEY_REUSED_CODE,
  message: 'this idempotencyKey belongs to another request',
});

/** What is said to whoever cannot be told whether the call was executed. */
export function outcomeUnknown(why: string): ErrorPayload {
  return { code: OUTCOME_UNKNOWN_CODE, message: `the call may have been executed before: ${why}` };
}

/** The calls with a key of one server: each is executed once, whoever asks how often. */
export class KeyedCalls implements RunHost {
  readonly terms: IdempotencyTerms;
  readonly #host: KeyedCallsHost;
  readonly #store: IdempotencyStore;
  readonly #pruneMs: number;
  /** What outlives the process cannot be counted from when that began. */
  readonly #calendar: Calendar | undefined;
  /** From before the claim until the outcome is kept. */
  readonly #runs = new Map<string, KeyedRun>();
  #stopTimer: CancelTimer | undefined;
  #isClosed = false;

  /** @throws {InvalidOptionsError} */
  constructor(host: KeyedCallsHost, { store, ttlMs = DEFAULT_TTL_MS }: IdempotencyOptions) {
    const { instance, isDurable: durable } = store;
    if (!Number.isSafeInteger(ttlMs) || ttlMs < 1)
      throw new InvalidOptionsError(`idempotency.ttlMs must be an integer from 1, got ${ttlMs}`);
    if (typeof instance !== 'string' || instance === '' || instance.length > MAX_INSTANCE_LENGTH)
      throw new InvalidOptionsError(
        `idempotency.store must be a store whose instance is a text of 1 to ${MAX_INSTANCE_LENGTH} characters, got ${typeof instance === 'string' ? `'${instance}'` : typeof instance}`,
      );
    this.#host = host;
    this.#store = store;
    this.#pruneMs = Math.min(MAX_PRUNE_MS, Math.max(MIN_PRUNE_MS, ttlMs / 4));
    this.terms = { instance, ttlMs, durable };
    this.#calendar = durable ? new Calendar(host.clock, ttlMs + KEEP_LONGER_MS) : undefined;
    this.#armTimer(); // what an earlier server left
  }

  get exposeErrorMessages(): boolean {
    return this.#host.exposeErrorMessages;
  }

  get stripUndeclared(): boolean {
    return this.#host.stripUndeclared;
  }

  began(): void {
    this.#host.began();
  }

  done(): void {
    this.#host.done();
  }

  onHandlerFailed(run: KeyedRun, what: string, error: unknown): void {
    this.#log(run, what, error);
  }

  /**
   * Answers an attempt: with the outcome of the run that there is, or was, or that this one begins.
   * @returns the run it waits for, or undefined if it has been answered
   */
  take(attempt: Attempt, { key, first }: CallKey): KeyedRun | undefined {
    const lost = first === undefined ? undefined : this.#whyLost(first, attempt.port.clock);
    if (lost !== undefined) {
      attempt.refuse(outcomeUnknown(lost));
      return undefined;
    }
    const { port, procedure, reqInit } = attempt;
    const principal = port.principal === undefined ? `client ${port.to}` : `principal ${port.principal}`;
    const id = JSON.stringify([principal, procedure.serviceName, procedure.procedureName, key]);
    const hash = requestHash(reqInit);
    const running = this.#runs.get(id);
    if (running !== undefined && running.claim.requestHash !== hash) {
      attempt.refuse(REUSED);
      return undefined;
    }
    if (running !== undefined) {
      running.join(attempt);
      return running;
    }
    const claim = { id, principal, requestHash: hash, expiresAt: this.#expiresAt() };
    const run = new KeyedRun(this, claim, attempt);
    this.#runs.set(id, run);
    run.join(attempt);
    void this.#complete(run);
    return run;
  }

  /** The server closes: handlers are told. What they still make of their calls is kept, and said. */
  abort(message: string): void {
    this.#isClosed = true;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    for (const run of this.#runs.values()) run.abort(message);
  }

  /** The time for that is over. */
  close(): void {
    for (const run of this.#runs.values()) run.refuse(outcomeUnknown('the server closed while it ran'));
  }

  /** Why nobody can know what came of a first attempt. */
  #whyLost({ instance, knownUntil }: FirstAttempt, clock: Clock): string | undefined {
    if (instance !== this.terms.instance) return 'it went to a server whose memory is gone, or elsewhere';
    if (clock.now() >= knownUntil) return `it was longer ago than outcomes are kept (${this.terms.ttlMs} ms)`;
    return undefined;
  }

  /** By the store's time. */
  #now(): number {
    return this.#calendar?.earliest ?? this.#host.clock.now();
  }

  #expiresAt(): number {
    return Math.ceil((this.#calendar?.latest ?? this.#host.clock.now()) + this.terms.ttlMs + KEEP_LONGER_MS);
  }

  async #complete(run: KeyedRun): Promise<void> {
    this.began();
    try {
      const answer = await this.#claim(run);
      // Nobody can join between the last line of this and the end of the run: it is one turn.
      if (answer === undefined) run.refuse(INTERNAL, outcomeUnknown('the idempotency store failed'));
      else if (answer.kind === 'full') run.refuse({ code: IDEMPOTENCY_STORE_FULL_CODE, message: answer.message });
      else if (answer.kind === 'claimed') run.tell(await this.#execute(run));
      else if (answer.requestHash !== run.claim.requestHash) run.refuse(REUSED);
      else if (answer.outcome === undefined) run.refuse(outcomeUnknown('the server that began it did not complete it'));
      else run.tell(this.#read(run, answer.outcome));
    } catch (error) {
      this.#log(run, 'a keyed call failed', error);
      run.refuse(outcomeUnknown('the server failed'));
    } finally {
      this.#runs.delete(run.claim.id);
      this.done();
    }
  }

  /** Undefined if the store failed: nothing is executed that was not noted down. */
  async #claim(run: KeyedRun): Promise<ClaimAnswer | undefined> {
    try {
      const answer = await this.#store.claim(run.claim, this.#now());
      this.#armTimer();
      if (answer.kind === 'full')
        this.#host.log('warn', 'a call with an idempotencyKey was refused: the store is full', {
          code: IDEMPOTENCY_STORE_FULL_CODE,
          reason: answer.message,
        });
      return answer;
    } catch (error) {
      this.#log(run, 'the idempotency store failed: the call was not executed', error);
      return undefined;
    }
  }

  async #execute(run: KeyedRun): Promise<AnyResult> {
    const outcome = await run.execute();
    let bytes: Uint8Array;
    try {
      bytes = encodeStored(outcome);
    } catch (error) {
      this.#log(run, 'a response could not be encoded', error);
      bytes = encodeStored(Err({ code: UNCAUGHT_ERROR_CODE, message: 'the response cannot be encoded' }));
    }
    // As it is at this moment, and as every repeat will get it.
    const kept = this.#read(run, bytes);
    try {
      await this.#store.settle({ ...run.claim, expiresAt: this.#expiresAt() }, bytes);
    } catch (error) {
      // It is known here and now, and nowhere later: the claim stays, so that no repeat executes it.
      this.#log(run, 'the idempotency store failed: repeats will not hear the outcome', error);
    }
    return kept;
  }

  /** What a store gives back is checked: a file may have been changed by anybody. */
  #read(run: KeyedRun, bytes: Uint8Array): AnyResult {
    try {
      const outcome = decodeStored(bytes);
      if (isResult(outcome)) return outcome;
      this.#log(run, 'the idempotency store gave back something that is no result', undefined);
    } catch (error) {
      this.#log(run, 'the idempotency store gave back something that cannot be read', error);
    }
    return Err(outcomeUnknown('its outcome cannot be read'));
  }

  #armTimer(): void {
    if (this.#stopTimer !== undefined || this.#isClosed) return;
    this.#stopTimer = this.#host.clock.after(this.#pruneMs, () => {
      this.#stopTimer = undefined;
      void this.#prune();
    });
  }

  async #prune(): Promise<void> {
    try {
      if ((await this.#store.prune(this.#now())) > 0) this.#armTimer();
    } catch (error) {
      this.#host.log('error', 'the idempotency store could not forget what has expired', { error });
      this.#armTimer();
    }
  }

  #log({ procedure, port, streamId }: KeyedRun, message: string, error: unknown): void {
    const { serviceName: service, procedureName } = procedure;
    this.#host.log('error', message, { sessionId: port.id, streamId, service, procedure: procedureName, error });
  }
}
