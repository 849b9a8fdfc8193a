import type { Host } from '../engine/host.ts';
import type { HostWitness } from '../engine/hostTypes.ts';

/** Takes what a process sends and is told into the trace. What sessions owe is for the other simulator to judge. */
export class ChainWitness implements HostWitness {
  readonly #host: Host;
  readonly #onLateFrame: () => void;
  readonly #ended = new Set<number>();
  readonly #heardLate = new Set<number>();

  /** @param onLateFrame told once for each connection to which frames come after it was closed */
  constructor(host: Host, onLateFrame: () => void) {
    this.#host = host;
    this.#onLateFrame = onLateFrame;
  }

  connectionOpened(index: number): void {
    this.#note(`connection ${index} opens`);
  }

  frameSent(index: number, { length }: Uint8Array): void {
    this.#host.world.trace.mix(length);
    this.#note(`→ connection ${index}: ${length} bytes`);
  }

  frameArrives(index: number, { length }: Uint8Array): void {
    this.#host.world.trace.mix(-length);
    const isLate = this.#ended.has(index);
    this.#note(`${isLate ? '✗' : '←'} connection ${index}: ${length} bytes`);
    if (!isLate || this.#heardLate.has(index)) return;
    this.#heardLate.add(index);
    this.#onLateFrame();
  }

  connectionEnds(index: number): void {
    this.#ended.add(index);
    this.#note(`connection ${index} ends`);
  }

  dialStarted(): void {
    this.#note('dials');
  }

  #note(what: string): void {
    if (this.#host.world.trace.isReadable) this.#host.world.note(this.#host.name, what);
  }
}
