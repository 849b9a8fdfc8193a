import type { Connection } from '../../../transport/connection.ts';
import type { DialCallbacks } from '../../../transport/session/SessionConnecting.ts';
import { type Input, Phase, type SimEvent } from './eventHeap.ts';
import type { HostOptions, HostWitness, JournalEntry } from './hostTypes.ts';
import { ProcessClock } from './processClock.ts';
import { type ConnectionEnd, SimConnection } from './simConnection.ts';
import type { World } from './world.ts';

/**
 * One process. Everything that reaches it comes through {@link take}: timers that fire, frames, connections that open and
 * end, what its application does. So an earlier state of it can be had honestly: a second image of the program lives
 * through the beginning of its journal again ({@link relive}), its sends going nowhere.
 */
export class Host {
  readonly world: World;
  readonly name: string;
  readonly number: number;
  readonly options: HostOptions;
  readonly time: ProcessClock;
  isAlive = true;
  witness: HostWitness | undefined;
  /** Called for each connection that somebody opens to this process. */
  onAccept: (connection: Connection) => void = (connection) => connection.close();
  /** Stalls of the process, latest last. */
  readonly pauses: { from: number; to: number }[] = [];
  readonly connections: SimConnection[] = [];
  /** By number; undefined once it is settled. */
  readonly dials: (DialCallbacks | undefined)[] = [];
  readonly journal: JournalEntry[] | undefined;
  /** Number of the process whose life this is: its own, or that of the original while it lives through an earlier one. */
  taker: number;
  /** Numbers of the sends that failed: for a copy they fail too. */
  readonly failedSends = new Set<number>();
  #sends = 0;
  #replayedNow: number | undefined;
  #held: SimEvent[] = [];

  constructor(world: World, options: HostOptions) {
    this.world = world;
    this.name = options.name;
    this.options = options;
    this.time = new ProcessClock(this, options.seed);
    this.journal = options.keepsJournal ? [] : undefined;
    this.number = world.hosts.length;
    this.taker = this.number;
    world.hosts.push(this);
  }

  /** Time as this process sees it. */
  get now(): number {
    return this.#replayedNow ?? this.world.now;
  }

  /** True while a second image of the program lives through an earlier life. */
  get isReplaying(): boolean {
    return this.#replayedNow !== undefined;
  }

  get isPaused(): boolean {
    return this.world.now < (this.pauses.at(-1)?.to ?? 0);
  }

  /** Something reaches the process, now. */
  take(input: Input): void {
    this.journal?.push({ at: this.world.now, input, turns: 0, taker: this.number, hasSent: false });
    input(this);
  }

  /** In the event that was taken last, the program has sent something. */
  hasSent(): void {
    const last = this.journal?.at(-1);
    if (last !== undefined) last.hasSent = true;
  }

  /** The event that was taken last gets so many turns of the microtask queue. */
  drained(turns: number): void {
    const last = this.journal?.at(-1);
    if (last !== undefined) last.turns = turns;
  }

  /** Something will reach the process. In a life that is lived again it has happened already, or never will. */
  schedule(at: number, phase: number, input: Input): SimEvent | undefined {
    return this.isReplaying ? undefined : this.world.schedule(at, phase, this, input);
  }

  /** Whether the next send fails, which the network decides and a copy repeats. */
  sendOutcome(decide: () => boolean): boolean {
    const number = this.#sends++;
    if (this.isReplaying) return !this.failedSends.has(number);
    const isTaken = decide();
    if (!isTaken) this.failedSends.add(number);
    return isTaken;
  }

  dial(to: string, callbacks: DialCallbacks): () => void {
    const index = this.dials.push(callbacks) - 1;
    this.witness?.dialStarted();
    return this.isReplaying ? () => undefined : this.options.uplink.dial(this, index, to);
  }

  /** A dial fails. */
  dialFailed(index: number, error: Error): void {
    const callbacks = this.dials[index];
    this.dials[index] = undefined;
    callbacks?.onError(error);
  }

  /** A dial succeeds; returns the near end of the connection. `end` is undefined for a copy. */
  dialOpened(index: number, end: ConnectionEnd | undefined): void {
    const connection = this.addConnection(end);
    const callbacks = this.dials[index];
    this.dials[index] = undefined;
    if (callbacks === undefined) connection.close();
    else callbacks.onOpen(connection);
  }

  addConnection(end: ConnectionEnd | undefined): SimConnection {
    const connection = new SimConnection(this, this.connections.length, this.isReplaying ? undefined : end);
    this.connections.push(connection);
    this.witness?.connectionOpened(connection.index);
    return connection;
  }

  /** Nothing runs in the process for a while. `readsFirst`: afterwards it reads before its timers have their turn. */
  pause(ms: number, readsFirst: boolean): void {
    const { world } = this;
    const to = Math.max(world.now + ms, this.pauses.at(-1)?.to ?? 0);
    this.pauses.push({ from: world.now, to });
    world.schedule(to, Phase.World, undefined, () => this.#resume(readsFirst));
  }

  /** An event comes while the process is stalled. */
  hold(event: SimEvent): void {
    this.#held.push(event);
  }

  /** The process is gone at once, and does nothing any more. Whoever it is connected to notices by other means. */
  kill(): void {
    this.isAlive = false;
    this.#held = [];
  }

  /** Lives through the first `count` inputs of another process, as its copy. Then its connections are broken. */
  async relive(original: Host, count: number): Promise<void> {
    const entries = original.journal?.slice(0, count) ?? [];
    for (const number of original.failedSends) this.failedSends.add(number);
    for (const entry of entries) {
      this.#replayedNow = entry.at;
      this.taker = entry.taker;
      this.journal?.push(entry);
      entry.input(this);
      for (let turn = 0; turn < entry.turns; turn++) await undefined;
      this.world.afterEvent(this);
    }
    // Those that the original failed at later are not this image's.
    for (const number of this.failedSends) if (number >= this.#sends) this.failedSends.delete(number);
    // What stalled the original stalled this, and the time in between is one long stall.
    this.pauses.push(...original.pauses, { from: entries.at(-1)?.at ?? 0, to: this.world.now });
    this.#replayedNow = undefined;
    this.taker = this.number;
    this.time.goLive();
    const fresh = this.options.seed + this.number;
    this.take((host) => host.time.reseed(fresh));
    const { now } = this.world;
    const lost = new Error('the machine was restored from a snapshot');
    this.dials.forEach((callbacks, index) => {
      if (callbacks !== undefined) this.schedule(now, Phase.Io, (host) => host.dialFailed(index, lost));
    });
    for (const { index, isEnded } of this.connections) {
      if (!isEnded) this.schedule(now, Phase.Io, (host) => host.connections[index]?.breakOff(lost));
    }
  }

  #resume(readsFirst: boolean): undefined {
    if (this.isPaused) return;
    const held = this.#held.filter((event) => !event.isCancelled);
    this.#held = [];
    held.sort((a, b) => a.phase - b.phase || a.at - b.at || a.order - b.order);
    for (const event of held) {
      this.world.reschedule(event, readsFirst && event.phase === Phase.Io ? Phase.EarlyIo : event.phase);
    }
  }
}
