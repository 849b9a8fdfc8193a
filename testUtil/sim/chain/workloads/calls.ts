import { Type } from '@sinclair/typebox';
import type { UnkeyedCallOptions } from '../../../../router/callOptions.ts';
import { createClient } from '../../../../router/client.ts';
import type { Client } from '../../../../router/clientTypes.ts';
import { Procedure } from '../../../../router/procedures.ts';
import { Ok } from '../../../../router/result.ts';
import { createServer, type Server } from '../../../../router/server.ts';
import { createServiceSchema } from '../../../../router/services.ts';
import type { Clock } from '../../../../transport/clock.ts';
import { Random } from '../../engine/random.ts';
import type {
  ChainProgram,
  ChainRun,
  ChainWorkload,
  LeafContext,
  ProviderContext,
  ServiceContext,
} from '../chainWorkload.ts';
import { pauseOf } from './pauseOf.ts';

/** Errors that a call may end with although every program is right. */
const EXPECTED = ['UNEXPECTED_DISCONNECT', 'CANCEL', 'DEADLINE_EXCEEDED', 'SESSION_BUFFER_FULL'];
const MAX_OPEN_CALLS = 6;
const MAX_GAP_MS = 600;
const MAX_COUNT = 20;

/** Who answers: the provider itself, or the service by asking it. */
interface Answering {
  double(tag: number, options: UnkeyedCallOptions): Promise<number | undefined>;
  /** Undefined where it ends early. */
  count(to: number, options: UnkeyedCallOptions, clock: Clock): AsyncIterable<number | undefined>;
}

function numberServices(answering: Answering) {
  const numbers = createServiceSchema().define({
    double: Procedure.rpc({
      requestInit: Type.Object({ tag: Type.Integer() }),
      responseData: Type.Object({ n: Type.Integer() }),
      async handler({ ctx, reqInit: { tag } }) {
        const n = await answering.double(tag, ctx.callOptions);
        return n === undefined ? ctx.cancel('nobody could be asked') : Ok({ n });
      },
    }),
    count: Procedure.subscription({
      requestInit: Type.Object({ to: Type.Integer() }),
      responseData: Type.Object({ n: Type.Integer() }),
      async handler({ ctx, reqInit: { to }, resWritable }) {
        for await (const n of answering.count(to, ctx.callOptions, ctx.clock)) {
          if (!resWritable.isWritable()) return;
          if (n === undefined) return void ctx.cancel('nobody could be asked');
          resWritable.write(Ok({ n }));
        }
        resWritable.close();
      },
    }),
  });
  return { numbers };
}

type NumberServices = ReturnType<typeof numberServices>;

function served(server: Server<NumberServices>): ChainProgram {
  return {
    close: () => server.close(),
    leftovers: () => (server.openCalls + server.running > 0 ? `${server.openCalls} calls` : undefined),
  };
}

class CallsRun implements ChainRun {
  /** How often each call was executed at the end of the chain. */
  readonly #executed = new Map<number, number>();

  startProvider({ transport, isBusy, fail }: ProviderContext): ChainProgram {
    const executed = this.#executed;
    const services = numberServices({
      async double(tag) {
        const times = (executed.get(tag) ?? 0) + 1;
        executed.set(tag, times);
        if (times > 1) fail('1', `call ${tag} was executed ${times} times`);
        return 2 * tag;
      },
      async *count(to, { signal }, clock) {
        for (let n = 0; n < to && signal?.aborted !== true; n++) {
          yield n;
          if (isBusy() && clock.random() < 0.3) await pauseOf(clock, clock.random() * 500, signal);
        }
      },
    });
    return served(createServer(transport, services));
  }

  startService({ transport, upstream, providerId }: ServiceContext): ChainProgram {
    const client = createClient<NumberServices>(upstream, providerId);
    const services = numberServices({
      async double(tag, options) {
        const result = await client.numbers.double.rpc({ tag }, options);
        return result.ok ? result.payload.n : undefined;
      },
      async *count(to, options) {
        const { resReadable } = client.numbers.count.subscribe({ to }, options);
        for await (const result of resReadable) yield result.ok ? result.payload.n : undefined;
      },
    });
    return served(createServer(transport, services));
  }

  startLeaf(context: LeafContext): ChainProgram {
    return new CallingLeaf(context, this.#executed);
  }
}

/** Calls through both hops, again and again, and compares what comes. */
class CallingLeaf implements ChainProgram {
  readonly #context: LeafContext;
  readonly #executed: ReadonlyMap<number, number>;
  readonly #client: Client<NumberServices>;
  readonly #random: Random;
  #open = 0;
  #stop: () => void = () => undefined;

  constructor(context: LeafContext, executed: ReadonlyMap<number, number>) {
    this.#context = context;
    this.#executed = executed;
    this.#client = createClient<NumberServices>(context.transport, context.serviceId);
    this.#random = new Random(context.clock.random() * 2 ** 32);
    this.#wait();
  }

  unfinished(): string | undefined {
    return this.#open === 0 ? undefined : `${this.#open} calls have not ended`;
  }

  leftovers(): string | undefined {
    return this.unfinished();
  }

  close(): void {
    this.#stop();
  }

  #wait(): void {
    const { clock, isBusy, fail } = this.#context;
    this.#stop = clock.after(this.#random.between(0, MAX_GAP_MS), () => {
      if (!isBusy()) return;
      this.#wait();
      if (this.#open >= MAX_OPEN_CALLS) return;
      this.#open += 1;
      const options = this.#random.chance(0.2) ? { timeoutMs: this.#random.between(50, 6_000) } : {};
      const ended = this.#random.chance(0.6) ? this.#double(options) : this.#count(options);
      ended.then(
        (code) => {
          this.#open -= 1;
          if (code !== undefined && !EXPECTED.includes(code)) fail('5', `a call ended with ${code}`);
        },
        (error: unknown) => fail('5', `a call threw: ${String(error)}`),
      );
    });
  }

  async #double(options: UnkeyedCallOptions): Promise<string | undefined> {
    const tag = this.#context.nextTag();
    const result = await this.#client.numbers.double.rpc({ tag }, options);
    if (!result.ok) return result.payload.code;
    if (result.payload.n !== 2 * tag) this.#context.fail('1', `doubled ${tag} to ${result.payload.n}`);
    if (this.#executed.get(tag) !== 1) this.#context.fail('1', `call ${tag} has an answer, and was never executed`);
    return undefined;
  }

  async #count(options: UnkeyedCallOptions): Promise<string | undefined> {
    const to = this.#random.integer(0, MAX_COUNT);
    const { resReadable } = this.#client.numbers.count.subscribe({ to }, options);
    let expected = 0;
    for await (const result of resReadable) {
      if (!result.ok) return result.payload.code;
      if (result.payload.n !== expected) this.#context.fail('1', `got ${result.payload.n} where ${expected} was next`);
      expected += 1;
    }
    if (expected !== to) this.#context.fail('1', `a subscription ended well after ${expected} of ${to} values`);
    return undefined;
  }
}

/** Plain calls through both hops: the right answer or an error that is known, and never two executions of one call. */
export const callsWorkload: ChainWorkload = { name: 'calls', begin: () => new CallsRun() };
