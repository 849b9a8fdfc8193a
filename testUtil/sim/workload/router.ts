import { createClient } from '../../../router/client.ts';
import type { Client } from '../../../router/clientTypes.ts';
import { createServer } from '../../../router/server.ts';
import { Random } from '../engine/random.ts';
import { type NumberServices, numberServices } from './services.ts';
import { SimCall } from './simCall.ts';
import type { ClientContext, RunningProgram, ServerContext, Workload } from './workload.ts';

/** How busy the clients are. */
export interface RouterSettings {
  /** Between two calls of a client. */
  readonly gapMs: number;
  /** Most values written at once. */
  readonly maxBurst: number;
}

const MAX_OPEN_CALLS = 12;

function startServer(context: ServerContext): RunningProgram {
  const { witness } = context;
  const begun = new Set<string>();
  const services = numberServices({
    began(sessionId, call) {
      const key = `${sessionId} ${call}`;
      if (begun.has(key)) witness.contradicted(sessionId, '1', `call ${call} was executed twice`);
      begun.add(key);
    },
    got(sessionId, call, expected, value) {
      if (value !== expected)
        witness.contradicted(sessionId, '1', `call ${call} got value ${value} where ${expected} was next`);
    },
    isBusy: context.isBusy,
  });
  const server = createServer(context.transport, services);
  return {
    leftovers: () => {
      const { openCalls, running } = server;
      return openCalls + running > 0 ? `${openCalls} calls, ${running} handlers` : undefined;
    },
  };
}

/** Calls every kind of procedure, again and again, and compares what comes. */
class RouterClient implements RunningProgram {
  readonly #context: ClientContext;
  readonly #settings: RouterSettings;
  readonly #client: Client<NumberServices>;
  readonly #random: Random;
  readonly #calls = new Set<SimCall>();
  #stop: () => void = () => undefined;

  constructor(context: ClientContext, settings: RouterSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#client = createClient<NumberServices>(context.transport, context.serverId, { eagerlyConnect: false });
    this.#random = new Random(context.clock.random() * 2 ** 32);
    this.#wait();
  }

  unfinished(): string | undefined {
    const [call] = this.#calls;
    return call === undefined ? undefined : `${this.#calls.size} calls have not ended, ${call.name} among them`;
  }

  probe(): void {
    this.#call('rpc');
  }

  close(): void {
    this.#stop();
  }

  #wait(): void {
    this.#stop = this.#context.clock.after(this.#random.between(0, 4 * this.#settings.gapMs), () => {
      if (!this.#context.isBusy()) return;
      if (this.#calls.size < MAX_OPEN_CALLS)
        this.#call(this.#random.pick(['rpc', 'rpc', 'upload', 'subscription', 'stream']));
      this.#wait();
    });
  }

  #call(kind: 'rpc' | 'upload' | 'subscription' | 'stream'): void {
    const { transport, serverId, nextTag } = this.#context;
    const sessionId = transport.openSession(serverId).id;
    const call = new SimCall(
      this.#context,
      this.#client,
      new Random(this.#random.next() * 2 ** 32),
      sessionId,
      nextTag(),
    );
    this.#calls.add(call);
    call.run(kind, this.#settings.maxBurst, () => this.#calls.delete(call));
  }
}

/** Calls of every kind, through the router. */
export function routerWorkload(settings: RouterSettings): Workload {
  return { name: 'router', startServer, startClient: (context) => new RouterClient(context, settings) };
}
