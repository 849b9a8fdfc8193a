import { expect } from 'vitest';
import { createClient } from '../../../router/client.ts';
import type { Client } from '../../../router/clientTypes.ts';
import type { ClientTransport } from '../../../transport/client.ts';
import type { Services } from '../../support/routerServices.ts';
import { TransportEventLog } from '../../support/transportEvents.ts';

/** Longer, and a user would have noticed. */
const NOTICEABLE_MS = 2_000;

/** A client who makes one call after the other until she is told to stop, and remembers what went wrong. */
export class HonestCaller {
  readonly transport: ClientTransport;
  readonly client: Client<Services>;
  readonly failures: string[] = [];
  calls = 0;
  longestMs = 0;
  readonly #events: TransportEventLog;
  #running: Promise<void> | undefined;
  #isStopping = false;

  constructor(transport: ClientTransport, metadata: unknown) {
    this.transport = transport;
    if (metadata !== undefined) transport.setHandshake({ construct: () => metadata });
    this.client = createClient<Services>(transport);
    this.#events = new TransportEventLog(transport);
  }

  /** Resolves after the first answer. */
  async begin(): Promise<void> {
    await this.#call();
    this.#events.clear();
    this.#running = this.#callOn();
  }

  async #callOn(): Promise<void> {
    while (!this.#isStopping) {
      await this.#call();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #call(): Promise<void> {
    const said = { call: this.calls, text: 'honest' };
    const startedAt = performance.now();
    try {
      const result = await this.client.math.types.rpc(said);
      if (JSON.stringify(result) !== JSON.stringify({ ok: true, payload: said })) {
        this.failures.push(`got ${JSON.stringify(result)} for ${JSON.stringify(said)}`);
        this.#isStopping = true;
      }
    } catch (error) {
      this.failures.push(String(error));
      this.#isStopping = true;
    }
    this.longestMs = Math.max(this.longestMs, performance.now() - startedAt);
    this.calls += 1;
  }

  /** Three more calls are answered; none was late, wrong or lost, and the session and its connection are the first. */
  async expectNoticedNothing(): Promise<void> {
    const until = this.calls + 3;
    while (this.calls < until && this.failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(this.failures).toEqual([]);
    expect(this.#events.lines).toEqual([]);
    expect(this.longestMs).toBeLessThan(NOTICEABLE_MS);
  }

  async end(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
    this.transport.close();
  }
}
