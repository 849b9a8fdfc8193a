import type { SessionPort } from '../transport/stream.ts';
import type { TracedSpan } from '../transport/telemetry.ts';
import { CallEnd } from './callEnd.ts';
import type { ContextSource } from './context.ts';
import { CANCEL_CODE, type ErrorPayload, UNCAUGHT_ERROR_CODE } from './errors.ts';
import { type HandlerArgs, runHandler, runWithMiddlewares } from './handlerRun.ts';
import type { IdempotencyClaim } from './idempotencyStore.ts';
import type { LiveProcedure } from './openCall.ts';
import { type AnyResult, InvalidResponseError, judgeResponse } from './response.ts';
import { Err, isResult } from './result.ts';

/** One attempt of a keyed call, as its run knows it: the stream that wants an answer. */
export interface Attempt {
  readonly port: SessionPort;
  readonly streamId: string;
  readonly span: TracedSpan;
  readonly deadlineAt: number | undefined;
  readonly procedure: LiveProcedure;
  readonly reqInit: unknown;
  /** An earlier attempt may have been executed. */
  readonly isRepeat: boolean;
  /** What came of the call. */
  answer(result: AnyResult): void;
  /** Why nothing came of it, or nobody knows. */
  refuse(error: ErrorPayload): void;
}

/** What a run needs of its server. */
export interface RunHost {
  readonly exposeErrorMessages: boolean;
  readonly stripUndeclared: boolean;
  began(): void;
  done(): void;
  onHandlerFailed(run: KeyedRun, what: string, error: unknown): void;
}

/**
 * The one execution of a keyed call, which outlives the session that began it. Its context is that of the first attempt:
 * where that came from, and until when it is wanted.
 */
export class KeyedRun implements ContextSource {
  readonly claim: IdempotencyClaim;
  readonly procedure: LiveProcedure;
  readonly port: SessionPort;
  readonly streamId: string;
  readonly span: TracedSpan;
  readonly deadlineAt: number | undefined;
  readonly end: CallEnd;
  readonly #host: RunHost;
  readonly #reqInit: unknown;
  /** Who waits for the outcome. */
  readonly #attempts = new Set<Attempt>();
  /** Why it was given up, once it was. */
  #abortedWith: ErrorPayload | undefined;
  #decide: ((outcome: AnyResult) => void) | undefined;

  constructor(host: RunHost, claim: IdempotencyClaim, first: Attempt) {
    this.#host = host;
    this.claim = claim;
    this.procedure = first.procedure;
    this.port = first.port;
    this.streamId = first.streamId;
    this.span = first.span;
    this.deadlineAt = first.deadlineAt;
    this.#reqInit = first.reqInit;
    this.end = new CallEnd(host, (error) => host.onHandlerFailed(this, 'a deferred cleanup failed', error));
  }

  /** Somebody waits for the outcome. */
  join(attempt: Attempt): void {
    this.#attempts.add(attempt);
  }

  /** Somebody does not wait any more. The run goes on. */
  leave(attempt: Attempt): void {
    this.#attempts.delete(attempt);
  }

  /** Tells everybody who waits. */
  tell(result: AnyResult): void {
    for (const attempt of this.#attempts) attempt.answer(result);
  }

  /**
   * Tells everybody who waits that there is no outcome to be had.
   * @param toRepeats what is said instead to those who ask what came of an earlier attempt
   */
  refuse(error: ErrorPayload, toRepeats: ErrorPayload = error): void {
    for (const attempt of this.#attempts) attempt.refuse(attempt.isRepeat ? toRepeats : error);
  }

  /** The outcome is not wanted any more: says so to the handler, which may still have one. */
  abort(message: string): void {
    this.#abortedWith ??= { code: CANCEL_CODE, message };
    this.end.reach(message);
  }

  cancelByHandler(message: string): void {
    this.#decide?.(Err({ code: CANCEL_CODE, message }));
  }

  logError(message: string, error: unknown): void {
    this.#host.onHandlerFailed(this, message, error);
  }

  /** Runs the handler, its middlewares around it. Settles as what came of it; never rejects. */
  async execute(): Promise<AnyResult> {
    const stopDeadline = this.#armDeadline();
    const outcome = await new Promise<AnyResult>((resolve) => {
      this.#decide = resolve;
      void this.#run().then(resolve);
    });
    stopDeadline();
    this.#decide = undefined;
    this.end.reach(outcome.ok ? 'it is complete' : outcome.payload.message);
    return outcome;
  }

  #armDeadline(): () => void {
    if (this.deadlineAt === undefined) return () => undefined;
    const { clock } = this.port;
    const remaining = this.deadlineAt - clock.now();
    const elapsed = (): void => this.abort('deadline exceeded');
    if (remaining > 0) return clock.after(remaining, elapsed);
    elapsed();
    return () => undefined;
  }

  async #run(): Promise<AnyResult> {
    const { procedure } = this;
    const { stripUndeclared } = this.#host;
    if (this.#abortedWith !== undefined) return Err(this.#abortedWith);
    const ctx = procedure.createContext(this);
    const args: HandlerArgs = { ctx, reqInit: this.#reqInit, reqReadable: undefined, resWritable: undefined };
    this.#host.began();
    try {
      if (procedure.middlewares.length === 0)
        return judgeResponse(procedure, await this.span.run(() => runHandler(procedure, args)), stripUndeclared);
      const judged = await this.span.run(() =>
        runWithMiddlewares(procedure, args, () => this.#abortedWith, stripUndeclared),
      );
      if (!isResult(judged)) throw new InvalidResponseError('expected Ok(…) or Err(…)');
      return judged;
    } catch (error) {
      this.#host.onHandlerFailed(this, 'a handler failed', error);
      const isPrivate = !this.#host.exposeErrorMessages || error instanceof InvalidResponseError;
      const text = error instanceof Error ? error.message : typeof error === 'string' ? error : 'unknown error';
      return Err({ code: UNCAUGHT_ERROR_CODE, message: isPrivate ? 'internal server error' : text });
    } finally {
      this.#host.done();
    }
  }
}
