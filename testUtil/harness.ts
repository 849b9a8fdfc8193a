import type { Codec } from '../codec/codec.ts';
import type { ClientTransport } from '../transport/client.ts';
import type {
  ClientTransportOptions,
  ExtensionOptions,
  ServerTransportOptions,
  SettledTransportOptions,
} from '../transport/options.ts';
import type { ServerTransport } from '../transport/server.ts';
import type { SessionCore } from '../transport/session/core.ts';
import type { Transport } from '../transport/transport.ts';
import { createLink, type Link, type TransportName } from './links.ts';
import { VirtualClock } from './virtualClock.ts';

/** Turns of the event loop in which nothing may move before things count as settled. */
const QUIET_TURNS = 4;
/** Real time after which a system that does not settle is a failure. */
const SETTLE_LIMIT_MS = 5_000;

/** Extensions that a run of all tests does without: names, separated by commas, in `HOLDFAST_WITHOUT`. */
const switchedOff: ExtensionOptions = Object.fromEntries(
  (process.env['HOLDFAST_WITHOUT'] ?? '')
    .split(',')
    .filter((name) => name !== '')
    .map((name) => [name, false]),
);

/** What a suite runs over. */
export interface HarnessOptions {
  transport: TransportName;
  codec: Codec;
}

type AnyTransport = Transport<SettledTransportOptions>;

/**
 * Clients and servers over one link, with virtual time. Use it with `await using`: leaving the block closes what is
 * open and fails if a timer, a session, a call, a pending handshake, a listener or a socket is left.
 */
export class Harness implements AsyncDisposable {
  readonly clock: VirtualClock;
  readonly link: Link;
  readonly codec: Codec;
  readonly #clients: ClientTransport[] = [];
  readonly #servers: ServerTransport[] = [];

  constructor(clock: VirtualClock, link: Link, codec: Codec) {
    this.clock = clock;
    this.link = link;
    this.codec = codec;
  }

  server(options: ServerTransportOptions = {}, clientId = 'SERVER'): ServerTransport {
    const extensions = { ...switchedOff, ...options.extensions };
    const server = this.link.server(clientId, { clock: this.clock, ...options, extensions });
    this.#servers.push(server);
    return server;
  }

  client(options: ClientTransportOptions = {}, clientId = `client-${this.#clients.length + 1}`): ClientTransport {
    const extensions = { ...switchedOff, ...options.extensions };
    const client = this.link.client(clientId, { clock: this.clock, codec: this.codec, ...options, extensions });
    this.#clients.push(client);
    return client;
  }

  /** Moves time; between any two timers everything comes to rest. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Resolves once everything sent has arrived or its link is cut, and the loop has been quiet for some turns. */
  async settled(): Promise<void> {
    const startedAt = performance.now();
    let quiet = 0;
    let last = '';
    while (quiet < QUIET_TURNS) {
      await new Promise((resolve) => setImmediate(resolve));
      const now = this.#picture();
      quiet = now === last && this.#isAtRest() ? quiet + 1 : 0;
      last = now;
      if (performance.now() - startedAt > SETTLE_LIMIT_MS) throw new Error(`does not settle: ${now}`);
    }
  }

  #cores(transport: AnyTransport): SessionCore[] {
    return [...transport.sessions.values()].map((session) => session.core);
  }

  #picture(): string {
    const all: AnyTransport[] = [...this.#clients, ...this.#servers];
    const sessions = all.flatMap((transport) =>
      [...transport.sessions.values()].map((session) => {
        const { ledger, bufferedBytes, owesCredits } = session.core;
        const counters = `${ledger.nextSeq}/${ledger.ack}/${ledger.oldestUnackedSeq}/${bufferedBytes}/${owesCredits}`;
        return `${transport.clientId}→${session.to} ${session.state} ${counters}`;
      }),
    );
    return `${sessions.join(', ')}; pending ${this.#servers.map((server) => server.pendingHandshakes).join()}; io ${this.clock.pendingIo}`;
  }

  #isAtRest(): boolean {
    if (
      this.clock.pendingIo > 0 ||
      this.#servers.some((server) => server.pendingHandshakes > 0 && !this.holdsHandshakes)
    )
      return false;
    const serverCores = new Map(this.#servers.flatMap((server) => this.#cores(server)).map((core) => [core.id, core]));
    for (const client of this.#clients) {
      for (const session of client.sessions.values()) {
        if ((session.state === 'Connecting' || session.state === 'Handshaking') && !this.holdsHandshakes) return false;
        const far = serverCores.get(session.id);
        if (far === undefined || session.state !== 'Connected' || !far.isConnected) continue;
        const near = session.core.ledger;
        if (this.losesMessages) continue;
        if (near.nextSeq !== far.ledger.ack || far.ledger.nextSeq !== near.ack) return false;
      }
    }
    return true;
  }

  /** Set by tests that keep a dial or a handshake waiting on purpose, so that settling does not wait for it. */
  holdsHandshakes = false;
  /** Set by tests that lose messages on purpose, so that settling does not wait for them to be confirmed. */
  losesMessages = false;

  async [Symbol.asyncDispose](): Promise<void> {
    const calls = [...this.#clients, ...this.#servers].flatMap((transport: AnyTransport) =>
      this.#cores(transport).flatMap((core) => [...core.openStreams].map((id) => `${transport.clientId}: ${id}`)),
    );
    for (const transport of [...this.#clients, ...this.#servers]) transport.close();
    const startedAt = performance.now();
    const leftovers = () => this.#leftovers();
    while (leftovers().length > 0 && performance.now() - startedAt < SETTLE_LIMIT_MS / 2) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const left = leftovers();
    await this.link.close();
    if (calls.length > 0) left.push(`open calls: ${calls.join(', ')}`);
    if (left.length > 0) throw new Error(`the test left behind: ${left.join('; ')}`);
  }

  #leftovers(): string[] {
    const left: string[] = [];
    const add = (count: number, what: string) => {
      if (count > 0) left.push(`${count} ${what}`);
    };
    add(this.clock.pendingTimers, 'timers');
    add(this.clock.pendingIo, 'callbacks');
    add(this.link.openSockets(), 'sockets');
    add(this.link.openListeners(), 'listeners');
    for (const transport of [...this.#clients, ...this.#servers])
      add(transport.sessions.size, `sessions of ${transport.clientId}`);
    for (const server of this.#servers) add(server.pendingHandshakes, `pending handshakes of ${server.clientId}`);
    return left;
  }
}

/** A harness over one kind of transport and one codec. */
export async function createHarness(options: HarnessOptions): Promise<Harness> {
  let harness: Harness | undefined;
  const clock = new VirtualClock(async () => harness?.settled());
  const link = await createLink(options.transport, clock);
  harness = new Harness(clock, link, options.codec);
  return harness;
}
