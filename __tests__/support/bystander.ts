import { expect } from 'vitest';
import type { Harness } from '../../testUtil/harness.ts';
import type { ClientTransport } from '../../transport/client.ts';
import type { ServerTransport } from '../../transport/server.ts';
import { Echo, Recorder } from './ports.ts';
import { TransportEventLog } from './transportEvents.ts';

/** A server with an honest client on it, who must notice nothing of what happens to others. */
export class Bystander implements AsyncDisposable {
  readonly harness: Harness;
  readonly server: ServerTransport;
  readonly client: ClientTransport;
  readonly echo: Echo;
  readonly #call: Recorder;
  readonly #events: TransportEventLog;
  #said = 0;

  private constructor(harness: Harness, server: ServerTransport, client: ClientTransport) {
    this.harness = harness;
    this.server = server;
    this.client = client;
    this.echo = new Echo(server);
    this.#call = new Recorder(client.openSession('SERVER'), 'bystander');
    this.#events = new TransportEventLog(client);
  }

  /** The harness is closed with the bystander. */
  static async join(harness: Harness, server: ServerTransport = harness.server()): Promise<Bystander> {
    const bystander = new Bystander(harness, server, harness.client({}, 'bystander'));
    bystander.#call.open(bystander.#said++);
    await harness.settled();
    bystander.#events.clear();
    return bystander;
  }

  /** A round trip over the same session and the same connection as at first. */
  async expectUndisturbed(): Promise<void> {
    this.#call.send(this.#said++);
    await this.harness.settled();
    expect(this.#call.payloads).toEqual(Array.from({ length: this.#said }, (_, n) => n));
    expect(this.#events.lines).toEqual([]);
    expect(this.#call.ends).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#call.end();
    this.echo.end();
    await this.harness[Symbol.asyncDispose]();
  }
}
