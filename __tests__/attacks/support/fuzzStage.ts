import { expect } from 'vitest';
import type { Codec } from '../../../codec/codec.ts';
import { createClient } from '../../../router/client.ts';
import { createServer } from '../../../router/server.ts';
import { createHarness, type Harness } from '../../../testUtil/harness.ts';
import type { ServerTransport } from '../../../transport/server.ts';
import { BarePeer } from '../../support/barePeer.ts';
import { type Services, services } from '../../support/routerServices.ts';
import { TransportEventLog } from '../../support/transportEvents.ts';
import { bounded } from './fuzz.ts';
import { watchProcess } from './watch.ts';

/** A server in memory with the services and an honest client, who calls after every input. */
export class FuzzStage implements AsyncDisposable {
  readonly harness: Harness;
  readonly server: ServerTransport;
  readonly #codec: Codec;
  readonly #process = watchProcess();
  readonly #events: TransportEventLog;
  readonly #call: (said: unknown) => Promise<unknown>;
  readonly #close: () => Promise<void>;
  #calls = 0;

  private constructor(harness: Harness, codec: Codec) {
    this.harness = harness;
    harness.holdsHandshakes = true;
    harness.losesMessages = true;
    this.#codec = codec;
    this.server = harness.server({ maxStreamsPerSession: 20 });
    const router = createServer(this.server, services);
    const transport = harness.client({}, 'honest');
    const client = createClient<Services>(transport);
    this.#events = new TransportEventLog(transport);
    this.#call = (said) => client.math.types.rpc(said);
    this.#close = () => router.close();
  }

  static async open(codec: Codec): Promise<FuzzStage> {
    const stage = new FuzzStage(await createHarness({ transport: 'memory', codec }), codec);
    await stage.expectUndisturbed();
    stage.#events.clear();
    return stage;
  }

  async dial(): Promise<BarePeer> {
    return new BarePeer(await this.harness.link.dial('SERVER'), this.#codec);
  }

  /** The honest client is answered, in time and on her first connection, and nothing has reached the process. */
  async expectUndisturbed(): Promise<void> {
    const said = { call: this.#calls++ };
    expect(await bounded('the honest client’s call', this.#call(said))).toEqual({ ok: true, payload: said });
    if (said.call > 0) expect(this.#events.lines).toEqual([]);
    expect(this.#process.seen).toEqual([]);
  }

  /** Lets time pass until the sessions that inputs have left behind are gone, where there are many. */
  async forgetOthers(): Promise<void> {
    if (this.server.sessions.size < 50) return;
    await bounded('the end of abandoned sessions', this.harness.advance(40_000));
    expect([...this.server.sessions.keys()]).toEqual(['honest']);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.expectUndisturbed();
    await this.#close();
    await this.harness[Symbol.asyncDispose]();
    this.#process[Symbol.dispose]();
  }
}
