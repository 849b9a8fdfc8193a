import type { ConnectionInfo } from './handshake.ts';

/** Whoever reads a connection. Exactly one at a time. */
export interface ConnectionReceiver {
  onData(frame: Uint8Array): void;
  /** The last call. `error` where the pipe broke rather than was closed. */
  onClose(error: unknown): void;
}

/** What there is to know of a connection besides its kind. */
export type ConnectionDetails = Omit<ConnectionInfo, 'transport'>;

/**
 * A byte pipe that carries whole frames in order, and comes and goes. An implementation calls {@link deliver} and
 * {@link ended}; it must provide {@link send} and {@link destroy}, and may provide more of what is said of bytes, corks and {@link abort}.
 */
export abstract class Connection {
  readonly #kind: ConnectionInfo['transport'];
  #details: ConnectionDetails | (() => ConnectionDetails) | undefined;
  #receiver: ConnectionReceiver | undefined;
  #early: Uint8Array[] | undefined = [];
  #ended = false;
  #error: unknown;

  /** @param details or how to find them out: asked for once, and only where somebody wants to know */
  constructor(kind: ConnectionInfo['transport'], details?: ConnectionDetails | (() => ConnectionDetails)) {
    this.#kind = kind;
    this.#details = details;
  }

  /** What a handshake validator sees of it. */
  get info(): ConnectionInfo {
    if (typeof this.#details === 'function') this.#details = this.#details();
    return { transport: this.#kind, ...this.#details };
  }

  /** Nobody will ask for it any more: headers weigh more than the rest of a session. */
  forgetInfo(): void {
    this.#details = undefined;
  }

  /** Sends one frame. Returns false where the pipe cannot take it any more; what was lost is sent again after a reconnect. */
  abstract send(frame: Uint8Array): boolean;
  /** Sends what was given to {@link send}, then ends the pipe. Harmless when it has ended. */
  protected abstract destroy(): void;

  /** Ends the pipe at once, where an implementation can: what has not left is lost. */
  protected abort(): void {
    this.destroy();
  }

  /** Bytes read so far, parts of frames included; undefined where the implementation cannot tell. */
  get bytesRead(): number | undefined {
    return undefined;
  }

  /**
   * Bytes given to {@link send} that have not left yet; 0 where the implementation cannot tell. What was sent counts when `send` has
   * returned: once it was 0, nobody asks again before the next `send`.
   */
  get bufferedBytes(): number {
    return 0;
  }

  /** What is sent until {@link uncork} leaves in one write, where the implementation can do that. */
  cork(): void {}

  /** Ends {@link cork}. */
  uncork(): void {}

  /** True once the pipe has ended, from whichever side. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /** Takes over reading, until {@link detach}; what came before the first reader is handed over, in order. */
  attach(receiver: ConnectionReceiver): void {
    this.#receiver = receiver;
    const early = this.#early;
    this.#early = undefined;
    for (const frame of early ?? []) this.#receiver?.onData(frame);
    if (this.#ended) receiver.onClose(this.#error);
  }

  /** Lets go of reading. Harmless where another receiver has taken over. */
  detach(receiver: ConnectionReceiver): void {
    if (this.#receiver === receiver) this.#receiver = undefined;
  }

  /** Ends the pipe. Nothing is reported afterwards: whoever closes knows. */
  close(): void {
    if (this.#letGo()) this.destroy();
  }

  /** As {@link close}, but for a peer that is not there to hear a goodbye, nor to read what it was sent. */
  terminate(): void {
    if (this.#letGo()) this.abort();
  }

  /** False if the pipe has ended before. */
  #letGo(): boolean {
    this.#receiver = undefined;
    this.#early = undefined;
    if (this.#ended) return false;
    this.#ended = true;
    return true;
  }

  /** Ends the pipe as if it had failed: whoever reads it is told. */
  break(error?: unknown): void {
    if (this.#ended) return;
    this.destroy();
    this.ended(error);
  }

  /** For implementations: a frame arrived. A frame nobody reads (after a hand-over to nobody) is dropped. */
  protected deliver(frame: Uint8Array): void {
    if (this.#ended) return;
    if (this.#early !== undefined) this.#early.push(frame);
    else this.#receiver?.onData(frame);
  }

  /** For implementations: the pipe is about to end by itself, and this is why. */
  protected failing(error: unknown): void {
    this.#error ??= error;
  }

  /** For implementations: the pipe ended by itself. Later calls are ignored. */
  protected ended(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error ??= error;
    this.#receiver?.onClose(this.#error);
  }
}
