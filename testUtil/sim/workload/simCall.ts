import type { Client } from '../../../router/clientTypes.ts';
import type { Readable } from '../../../router/readable.ts';
import type { Writable } from '../../../router/writable.ts';
import { HoldfastError } from '../../../transport/errors.ts';
import type { Random } from '../engine/random.ts';
import type { NumberServices } from './services.ts';
import type { ClientContext } from './workload.ts';

/** How a call ended: `done`, or the code of its error. */
type End = string;

/** Errors that a call may end with although both programs are right. */
const EXPECTED = ['UNEXPECTED_DISCONNECT', 'CANCEL', 'DEADLINE_EXCEEDED', 'SESSION_BUFFER_FULL'];

type Numbered = { i: number };

/** One call of the built-in client: makes it, feeds it, and compares what comes of it with what must. */
export class SimCall {
  readonly name: string;
  readonly #context: ClientContext;
  readonly #client: Client<NumberServices>;
  readonly #random: Random;
  readonly #sessionId: string;
  readonly #call: number;
  readonly #abort = new AbortController();
  readonly #timeoutMs: number | undefined;
  #isOver = false;

  constructor(context: ClientContext, client: Client<NumberServices>, random: Random, sessionId: string, call: number) {
    this.#context = context;
    this.#client = client;
    this.#random = random;
    this.#sessionId = sessionId;
    this.#call = call;
    this.name = `call ${call}`;
    this.#timeoutMs = random.chance(0.15) ? random.between(20, 6_000) : undefined;
  }

  /** Makes the call; `onEnd` is called once, when it has ended. */
  run(kind: 'rpc' | 'upload' | 'subscription' | 'stream', maxBurst: number, onEnd: () => void): void {
    const { witness, clock, isBusy } = this.#context;
    witness.callOpened(this.#sessionId, this.name);
    if (this.#random.chance(0.1)) {
      const stop = clock.after(this.#random.between(1, 3_000), () => this.#abort.abort());
      this.#abort.signal.addEventListener('abort', stop, { once: true });
      onEnd = ((then) => () => {
        stop();
        then();
      })(onEnd);
    }
    const burst = isBusy() ? maxBurst : 1;
    const ended = this.#start(kind, burst);
    ended.then(
      (end) => this.#ended(end, onEnd),
      (error: unknown) => this.#context.fail('5', `${this.name} threw: ${String(error)}`),
    );
  }

  #start(kind: 'rpc' | 'upload' | 'subscription' | 'stream', burst: number): Promise<End> {
    switch (kind) {
      case 'rpc':
        return this.#rpc();
      case 'upload':
        return this.#upload(burst);
      case 'subscription':
        return this.#subscribe();
      case 'stream':
        return this.#stream(burst);
      default:
        return kind satisfies never;
    }
  }

  #ended(end: End, onEnd: () => void): void {
    const { witness } = this.#context;
    this.#isOver = true;
    if (end === 'UNEXPECTED_DISCONNECT') witness.callTold(this.#sessionId, this.name);
    else witness.callDone(this.#sessionId, this.name);
    if (end !== 'done' && !EXPECTED.includes(end)) this.#contradict('5', `ended with ${end}`);
    onEnd();
  }

  #contradict(invariant: string, what: string): void {
    this.#context.witness.contradicted(this.#sessionId, invariant, `${this.name} ${what}`);
  }

  get #options(): { signal: AbortSignal; timeoutMs: number | undefined } {
    return { signal: this.#abort.signal, timeoutMs: this.#timeoutMs };
  }

  async #rpc(): Promise<End> {
    const n = this.#random.integer(0, 1_000);
    const waitMs = this.#random.chance(0.3) ? this.#random.between(0, 2_000) : 0;
    const result = await this.#client.numbers.double.rpc({ call: this.#call, n, waitMs }, this.#options);
    if (!result.ok) return result.payload.code;
    if (result.payload.n !== 2 * n) this.#contradict('1', `doubled ${n} to ${result.payload.n}`);
    return 'done';
  }

  async #upload(burst: number): Promise<End> {
    const { reqWritable, finalize } = this.#client.numbers.sum.upload({ call: this.#call }, this.#options);
    const count = this.#random.integer(0, 20);
    const { witness } = this.#context;
    // Whoever sleeps hears nothing: of an upload only its result tells.
    witness.callDone(this.#sessionId, this.name);
    await this.#write(reqWritable, count, burst);
    witness.callOpened(this.#sessionId, this.name);
    const result = await finalize();
    if (!result.ok) return result.payload.code;
    if (result.payload.count !== count)
      this.#contradict('1', `uploaded ${count} values, ${result.payload.count} were counted`);
    return 'done';
  }

  #subscribe(): Promise<End> {
    const to = this.#random.integer(0, 30);
    const gapMs = this.#random.pick([0, 5, 100, 400]);
    const { resReadable } = this.#client.numbers.count.subscribe({ call: this.#call, to, gapMs }, this.#options);
    return this.#read(resReadable, to);
  }

  #stream(burst: number): Promise<End> {
    const { reqWritable, resReadable } = this.#client.numbers.echo.stream({ call: this.#call }, this.#options);
    const count = this.#random.integer(0, 20);
    this.#write(reqWritable, count, burst).then(
      () => reqWritable.close(),
      (error: unknown) => this.#contradict('5', `could not write: ${String(error)}`),
    );
    return this.#read(resReadable, count);
  }

  /** Writes so many numbers, some at a time. Stops where the call ends. */
  async #write(writable: Writable<Numbered>, count: number, burst: number): Promise<void> {
    const { clock, isBusy } = this.#context;
    for (let i = 0; i < count && writable.isWritable(); i++) {
      if (!this.#writes(writable, i)) return;
      if (isBusy() && i % burst === burst - 1)
        await new Promise<void>((resolve) => void clock.after(this.#random.between(0, 200), resolve));
    }
  }

  /** Writes a number. Where the session has no room the call is given up: a value is missing from then on. */
  #writes(writable: Writable<Numbered>, i: number): boolean {
    try {
      writable.write({ i });
      return true;
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'SESSION_BUFFER_FULL') throw error;
      this.#abort.abort();
      return false;
    }
  }

  /** Reads numbers: each must be the next, and the end must not come before all of them. */
  async #read(readable: Readable<Numbered, { code: string }>, count: number): Promise<End> {
    let expected = 0;
    for await (const result of readable) {
      if (this.#isOver) this.#contradict('5', 'got a value after its end');
      if (!result.ok) return result.payload.code;
      if (result.payload.i !== expected)
        this.#contradict('1', `got value ${result.payload.i} where ${expected} was next`);
      expected += 1;
    }
    if (expected !== count) this.#contradict('1', `ended well after ${expected} of ${count} values`);
    return 'done';
  }
}
