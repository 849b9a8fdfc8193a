import type { Host } from '../engine/host.ts';
import type { World } from '../engine/world.ts';
import type { Half, Terms } from './half.ts';
import { SessionWitness } from './sessionWitness.ts';
import { WireReader } from './wire.ts';

interface Pair {
  client: Half | undefined;
  server: Half | undefined;
  /** One half was lost or taken back, and the counters could not tell: nothing is known of it any more. */
  isBlind: boolean;
}

/** Peers with this name at the beginning are not honest. */
export const LIAR = 'liar';

/**
 * Judges a run by what applications sent and got, by session ids and events, and by the frames on the links. It knows
 * nothing of the implementation and asks it nothing.
 */
export class Oracle {
  readonly world: World;
  readonly terms: Terms;
  readonly wire = new WireReader();
  readonly #pairs = new Map<string, Pair>();
  readonly #witnesses = new Map<Host, SessionWitness>();
  /** Told for each frame that comes to a connection which has been closed locally. */
  onLateFrame: () => void = () => undefined;
  /** Sessions that nothing is known of any more. */
  blindPairs = 0;
  deliveries = 0;

  constructor(world: World, terms: Terms) {
    this.world = world;
    this.terms = terms;
    world.afterEvent = (host) => this.#witnesses.get(host)?.settle();
  }

  get witnesses(): IterableIterator<SessionWitness> {
    return this.#witnesses.values();
  }

  /** Begins to watch a process. */
  watch(host: Host, role: 'client' | 'server'): SessionWitness {
    const witness = new SessionWitness(this, host, role);
    host.witness = witness;
    this.#witnesses.set(host, witness);
    return witness;
  }

  fail(invariant: string, message: string): void {
    this.world.fail(invariant, message);
  }

  note(host: Host, what: string): void {
    this.world.note(host.name, what);
  }

  /** Something that every trace has, in its hash too. */
  event(host: Host, what: string): void {
    this.world.trace.mix(what.length);
    this.note(host, what);
  }

  /** A session has a new half on this side. */
  adopt(half: Half): void {
    const pair = this.#pairs.get(half.sessionId) ?? { client: undefined, server: undefined, isBlind: false };
    this.#pairs.set(half.sessionId, pair);
    pair[half.role] = half;
  }

  /** A process has come back with the memory it had some time ago. */
  restored(witness: SessionWitness): void {
    for (const half of witness.halves.values()) {
      if (half.endedAt !== undefined) continue;
      half.isRestored = true;
      if (half.everConnected) half.boundTo = this.#pairs.get(half.sessionId)?.client?.boundTo;
      this.adopt(half);
    }
  }

  peerOf(half: Half): Half | undefined {
    return this.#pairs.get(half.sessionId)?.[half.role === 'client' ? 'server' : 'client'];
  }

  /** The half at the other end of the connection that carries this one: what comes from there was sent by it. */
  speakerTo(half: Half): Half | undefined {
    const peer = half.connection === undefined ? undefined : half.host.connections[half.connection]?.peer;
    return peer === undefined ? undefined : this.#witnesses.get(peer)?.halves.get(half.sessionId);
  }

  isBlind(sessionId: string): boolean {
    return this.#pairs.get(sessionId)?.isBlind === true;
  }

  hasBlindPair(halves: Iterable<Half>): boolean {
    for (const { sessionId } of halves) if (this.isBlind(sessionId)) return true;
    return false;
  }

  isLiar(peer: string | undefined): boolean {
    return peer === undefined || peer.startsWith(LIAR);
  }

  /** True where two processes have used one client id. */
  hasTwin(half: Half): boolean {
    const name = half.role === 'client' ? half.host.options.name : this.peerOf(half)?.host.options.name;
    let count = 0;
    for (const { host, role } of this.#witnesses.values())
      if (role === 'client' && host.options.name === name) count += 1;
    return count > 1;
  }

  /**
   * Invariant 1, at every message: what is delivered is the next thing that was sent, in the session or, with `credit`, on
   * its stream.
   * @returns what is wrong with it, if anything
   */
  delivered(half: Half, streamId: string, tag: number): string | undefined {
    this.world.trace.mix(tag);
    this.deliveries += 1;
    const speaker = this.speakerTo(half);
    const isByStream = Number.isFinite(this.terms.windowBytes);
    const sent = (isByStream ? speaker?.txOf.get(streamId) : speaker?.tx) ?? [];
    const got = (isByStream ? half.rxOf.get(streamId) : half.rx) ?? [];
    const position = got.length - 1;
    if (sent[position] === tag) return undefined;
    const sentAs = sent.indexOf(tag);
    if (got.indexOf(tag) < position) return `a duplicate of message ${tag} at ${position}`;
    if (sentAs < 0) return `message ${tag} at ${position}, which was never sent`;
    return `message ${tag} at ${position}, which was sent as ${sentAs}: ${sentAs > position ? 'after a gap' : 'out of order'}`;
  }

  /** Invariant 3, whenever a client's session is connected again: both halves are the ones they were. */
  resumed(client: Half): void {
    const pair = this.#pairs.get(client.sessionId);
    const server = this.speakerTo(client);
    if (pair === undefined || server === undefined || pair.isBlind) return;
    const before = client.boundTo;
    client.boundTo = server;
    const isOther = before !== undefined && before !== server;
    if (!isOther && !client.isRestored) return;
    const isTold = this.#couldTell(client, server, isOther ? before : undefined);
    client.isRestored = false;
    server.isRestored = false;
    if (isTold) return this.fail('3', `${client.name} goes on with ${server.host.name}, one of which lost its half`);
    pair.isBlind = true;
    this.blindPairs += 1;
    this.note(client.host, `session ${client.sessionId}: a half was lost and the counters cannot tell`);
  }

  /** @param before the server's half that the client was connected to, where it is another one now */
  #couldTell(client: Half, server: Half, before: Half | undefined): boolean {
    const { hasResume } = this.terms;
    // A copy of a server is the same instance: it says so, also of sessions that it began only afterwards.
    if (before !== undefined && before.host.options.seed !== server.host.options.seed)
      return hasResume || client.nextExpected > 0 || client.nextSent > 0;
    return (
      client.nextSent > server.arrivedNext ||
      client.nextExpected > server.nextSeqAtMost(this.terms) ||
      server.peerAck > client.nextExpected ||
      (hasResume && server.arrivedNext > client.nextSeqAtMost(this.terms))
    );
  }

  /** Sessions that are alive on both sides, and are known. */
  *livePairs(): Generator<{ client: Half; server: Half }> {
    for (const { client, server, isBlind } of this.#pairs.values()) {
      if (client?.isAlive === true && server?.isAlive === true && !isBlind) yield { client, server };
    }
  }
}
