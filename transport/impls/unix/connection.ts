import type { Socket } from 'node:net';
import type { Clock } from '../../clock.ts';
import { Connection } from '../../connection.ts';
import { FrameReader, prefixOf } from './framing.ts';

/** How long a socket that was closed may take to say goodbye before it is destroyed; a peer that does not read must not keep it. */
const LINGER_MS = 1_000;

/** One connected Unix domain socket. */
export class UnixConnection extends Connection {
  readonly #socket: Socket;
  readonly #clock: Clock;

  constructor(socket: Socket, maxMessageBytes: number, clock: Clock) {
    super('unix');
    this.#socket = socket;
    this.#clock = clock;
    const reader = new FrameReader(maxMessageBytes, (frame) => this.deliver(frame));
    let error: unknown;
    socket.on('data', (chunk: Uint8Array) => {
      if (this.isEnded) return;
      try {
        reader.push(chunk);
      } catch (tooLarge) {
        socket.destroy();
        this.ended(tooLarge);
      }
    });
    socket.on('error', (reason) => {
      error = reason;
    });
    // Half-open is of no use to a session: the peer's end is the end.
    socket.on('end', () => socket.end());
    socket.on('close', () => this.ended(error));
  }

  override get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  override get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  override cork(): void {
    this.#socket.cork();
  }

  override uncork(): void {
    this.#socket.uncork();
  }

  override send(frame: Uint8Array): boolean {
    if (this.isEnded || !this.#socket.writable) return false;
    // Together in one write, and the frame as it is: the session keeps it anyway, and a copy would count twice.
    this.#socket.cork();
    this.#socket.write(prefixOf(frame));
    this.#socket.write(frame);
    this.#socket.uncork();
    return true;
  }

  protected override abort(): void {
    this.#socket.destroy();
  }

  protected override destroy(): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    const cancel = this.#clock.after(LINGER_MS, () => socket.destroy());
    socket.once('close', cancel);
    socket.end();
    // Whatever the peer still sends is thrown away, so that its end can be seen.
    socket.resume();
  }
}
