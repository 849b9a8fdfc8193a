import { connect, type Socket } from 'node:net';

type Done = (error: Error | null, socket: Socket) => void;

/** Dials for a WebSocket, but not while it is closed: whoever is cut off stays so until the time has come. */
export class Gate {
  readonly #port: number;
  #socket: Socket | undefined;
  #waiting: (() => void)[] | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** A `createConnection` of an http request: returns nothing, and calls `done` when there is a socket. */
  readonly connect = ((_options: unknown, done: Done): undefined => {
    const dial = () => {
      const socket = connect({ port: this.#port, host: '127.0.0.1' });
      this.#socket = socket;
      done(null, socket);
    };
    if (this.#waiting === undefined) dial();
    else this.#waiting.push(dial);
    // Declared without the callback by the types of Node's http; documented with it.
  }) as unknown as typeof connect;

  /** Ends the connection without a goodbye, and lets no other begin. */
  cut(): void {
    this.#waiting ??= [];
    this.#socket?.destroy();
  }

  /** Lets through whoever waits. */
  open(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const dial of waiting) dial();
  }
}
