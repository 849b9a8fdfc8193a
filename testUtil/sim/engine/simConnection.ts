import { Connection } from '../../../transport/connection.ts';
import type { Host } from './host.ts';

/** What a connection needs of the network. */
export interface ConnectionEnd {
  /** The process at the other end. */
  readonly peer: Host;
  /** Number of the connection in its process; undefined until it is open there. */
  index: number | undefined;
  /** True while frames have arrived that nobody has read. */
  readonly hasUnread: boolean;
  /** Returns false where the pipe cannot take it. */
  send(frame: Uint8Array): boolean;
  /** This side is done: what was sent still arrives. */
  close(): void;
  /** This side was told that the pipe is over. */
  ended(): void;
}

/** One end of a simulated pipe, as a process holds it. */
export class SimConnection extends Connection {
  readonly host: Host;
  /** Position among the connections of its process. */
  readonly index: number;
  readonly #end: ConnectionEnd | undefined;

  /** @param end undefined in a copy that lives through an earlier life: what it sends goes nowhere */
  constructor(host: Host, index: number, end: ConnectionEnd | undefined) {
    super('memory');
    this.host = host;
    this.index = index;
    this.#end = end;
    if (end !== undefined) end.index = index;
  }

  /** The process at the other end; undefined in a copy. */
  get peer(): Host | undefined {
    return this.#end?.peer;
  }

  /** True while frames have arrived that nobody has read. */
  get hasUnread(): boolean {
    return this.#end?.hasUnread ?? false;
  }

  override send(frame: Uint8Array): boolean {
    if (this.isEnded) return false;
    const isTaken = this.host.sendOutcome(() => this.#end?.send(frame) ?? false);
    if (isTaken) this.host.witness?.frameSent(this.index, frame);
    return isTaken;
  }

  protected override destroy(): void {
    this.host.witness?.connectionEnds(this.index, false);
    this.#end?.close();
  }

  /** Frames arrive together, in one turn. They do after a local close, too: what was buffered is delivered. */
  arrive(frames: readonly Uint8Array[]): void {
    for (const frame of frames) {
      this.host.witness?.frameArrives(this.index, frame);
      this.deliver(frame);
    }
  }

  /** The pipe ends from outside. */
  breakOff(error: unknown): void {
    if (!this.isEnded) this.host.witness?.connectionEnds(this.index, true);
    this.#end?.ended();
    this.ended(error);
  }
}
