import type { Host } from './host.ts';
import { PipeSide } from './pipeSide.ts';
import type { Random } from './random.ts';

/** How a cut looks from one side. */
export interface CutSide {
  /** Which part of what is under way to this side still arrives, in [0, 1]: a prefix, never a selection. */
  readonly prefix: number;
  /** When this side is told, after that; infinite if never. */
  readonly toldAfterMs: number;
}

/** A pipe between two processes: in each direction whole frames in order, delayed, never reordered. */
export class Pipe {
  readonly client: PipeSide;
  readonly server: PipeSide;
  readonly random: Random;
  readonly #latencyMs: number;
  readonly #jitterMs: number;
  readonly #onOver: (pipe: Pipe) => void;
  /** Added to every latency until then. */
  slowUntil = 0;
  slowMs = 0;
  isCut = false;

  constructor(client: Host, server: Host, random: Random, onOver: (pipe: Pipe) => void) {
    this.random = random;
    this.#latencyMs = random.chance(0.2) ? random.between(20, 120) : random.between(0.1, 20);
    this.#jitterMs = random.chance(0.5) ? random.between(0, 10) : 0;
    this.#onOver = onOver;
    this.client = new PipeSide(this, client);
    this.server = new PipeSide(this, server);
  }

  /** True while both sides believe in it and nothing has cut it. */
  get isOpen(): boolean {
    return !this.isCut && !this.client.hasClosed && !this.server.hasClosed;
  }

  otherOf(side: PipeSide): PipeSide {
    return side === this.client ? this.server : this.client;
  }

  /** How long the next frame takes. */
  latency(): number {
    const slow = this.client.host.world.now < this.slowUntil ? this.slowMs : 0;
    const jitter = this.#jitterMs === 0 ? 0 : this.random.next() * this.#jitterMs;
    return this.#latencyMs + jitter + slow;
  }

  /** Breaks the pipe; each side gets a prefix of what is under way to it, and may be told late or never. */
  cut(toClient: CutSide, toServer: CutSide): void {
    if (this.isCut) return;
    this.isCut = true;
    const error = new Error('the connection was reset');
    const afterServer = this.server.truncate(toClient.prefix);
    const afterClient = this.client.truncate(toServer.prefix);
    if (Number.isFinite(toClient.toldAfterMs)) this.server.tellOther(afterServer + toClient.toldAfterMs, error);
    if (Number.isFinite(toServer.toldAfterMs)) this.client.tellOther(afterClient + toServer.toldAfterMs, error);
    this.#onOver(this);
  }

  /** Called by a side that has closed. */
  onChange(): void {
    if (this.client.hasClosed && this.server.hasClosed) this.#onOver(this);
  }
}
