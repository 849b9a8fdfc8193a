import { Phase } from './eventHeap.ts';
import type { Host } from './host.ts';
import type { Uplink } from './hostTypes.ts';
import { type CutSide, Pipe } from './pipe.ts';
import { type Random, randomFor } from './random.ts';

/** What becomes of a dial. */
export type DialFate =
  | { readonly kind: 'refused'; readonly afterMs: number }
  | { readonly kind: 'hangs' }
  /** Takes so long, whether or not the client still wants it. */
  | { readonly kind: 'late'; readonly afterMs: number }
  /** Opens, but for so long nothing the client says gets through: its request may come after that of a later dial. */
  | { readonly kind: 'held'; readonly forMs: number };

const COMPLETES_ABANDONED = 0.5;

/** One attempt, from its beginning. */
interface Attempt {
  readonly host: Host;
  readonly index: number;
  readonly random: Random;
  isAbandoned: boolean;
  /** The connection opens although the client has given it up, as where a SYN was under way. */
  readonly isStubborn: boolean;
}

/** Where the server listens, and every pipe to it. */
export class Network implements Uplink {
  readonly #seed: number;
  /** Where dials lead; undefined while nobody listens. */
  listener: Host | undefined;
  readonly pipes = new Set<Pipe>();
  /** What becomes of a client's next dials, first one first. By name. */
  readonly #fates = new Map<string, DialFate[]>();
  #dials = 0;
  /** Told what was taken from {@link #fates}: that is when a fault happens. */
  onFate: (fate: DialFate) => void = () => undefined;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Decides about the next dial of a client that nothing was decided about yet. */
  addFate(client: string, fate: DialFate): void {
    const fates = this.#fates.get(client) ?? [];
    fates.push(fate);
    this.#fates.set(client, fates);
  }

  /** Every later dial is an ordinary one. */
  clearFates(): void {
    this.#fates.clear();
  }

  dial(host: Host, index: number, _to: string): () => void {
    const random = randomFor(this.#seed, 'dial', host.name, this.#dials++);
    const attempt: Attempt = {
      host,
      index,
      random,
      isAbandoned: false,
      isStubborn: random.chance(COMPLETES_ABANDONED),
    };
    const fate = this.#fates.get(host.options.name)?.shift();
    if (fate !== undefined) this.onFate(fate);
    const { world } = host;
    switch (fate?.kind) {
      case 'refused':
        this.#fail(attempt, world.now + fate.afterMs, 'the connection was refused');
        break;
      case 'hangs':
        break;
      case 'late':
        world.later(fate.afterMs, () => this.#reach(attempt, 0));
        break;
      case 'held':
        world.later(random.between(0.1, 5), () => this.#reach(attempt, fate.forMs));
        break;
      case undefined:
        world.later(random.chance(0.1) ? random.between(5, 200) : random.between(0.1, 5), () =>
          this.#reach(attempt, 0),
        );
        break;
      default:
        fate satisfies never;
    }
    return () => {
      attempt.isAbandoned = true;
    };
  }

  /** The pipes of a client that are in use, newest last. */
  openPipesOf(client: string): Pipe[] {
    return [...this.pipes].filter((pipe) => pipe.isOpen && pipe.client.host.options.name === client);
  }

  /** A process is gone. Its peers hear of it after a while, or never. */
  disconnectAll(host: Host, told: CutSide): void {
    for (const pipe of [...this.pipes]) {
      if (pipe.client.host === host || pipe.server.host === host) pipe.cut(told, told);
    }
  }

  /** The network is as it should be: nothing is blocked, slow or about to fail. */
  heal(): void {
    this.clearFates();
    for (const pipe of this.pipes) {
      pipe.slowUntil = 0;
      pipe.client.unblock();
      pipe.server.unblock();
    }
  }

  #fail({ host, index }: Attempt, at: number, message: string): void {
    host.schedule(at, Phase.Io, (self) => self.dialFailed(index, new Error(message)));
  }

  /** The dial reaches the place where the server listens, or should. */
  #reach(attempt: Attempt, heldForMs: number): undefined {
    const { host, index, random, isAbandoned, isStubborn } = attempt;
    const { world } = host;
    if (!host.isAlive || (isAbandoned && !isStubborn)) return;
    const server = this.listener;
    if (server === undefined)
      return this.#fail(attempt, world.now + random.between(0, 2), 'nobody listens there') as undefined;
    const pipe = new Pipe(host, server, random, (over) => this.pipes.delete(over));
    this.pipes.add(pipe);
    if (heldForMs > 0) {
      pipe.client.block();
      world.later(heldForMs, () => pipe.client.unblock() as undefined);
    }
    server.schedule(world.now, Phase.Io, (self) => {
      self.onAccept(self.addConnection(pipe.server));
    });
    const opensAt = world.now + pipe.latency();
    pipe.server.nothingBefore(opensAt);
    host.schedule(opensAt, Phase.Io, (self) => self.dialOpened(index, pipe.client));
    return undefined;
  }
}
