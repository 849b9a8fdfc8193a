import type { WebSocket } from 'ws';

interface Waiting {
  /** How many messages must have been received before it goes. */
  until: number;
  go: () => void;
}

/**
 * A way back that lags behind: whatever a client sends leaves only when the client has received a number of further
 * messages. What it sends while it only reads are acknowledgements, one for every frame. So the server has that
 * many messages unacknowledged all the time, while acknowledgements keep coming as often as they always do. Nothing
 * of the library is changed, nor of what it says.
 */
export class LateAnswers {
  #lag = 0;
  #received = 0;
  #waiting: Waiting[] = [];

  /** Takes over what `ws` sends. */
  attach(ws: WebSocket): void {
    const send = ws.send.bind(ws) as (bytes: Uint8Array) => void; // as the library calls it
    ws.send = (bytes: Uint8Array) => {
      if (this.#lag === 0) return send(bytes);
      // The library may use its memory again.
      const copy = Uint8Array.from(bytes);
      this.#waiting.push({ until: this.#received + this.#lag, go: () => send(copy) });
    };
  }

  /** From now on; 0 lets everything go. */
  lagBehind(messages: number): void {
    this.#lag = messages;
    if (messages > 0) return;
    for (const { go } of this.#waiting) go();
    this.#waiting = [];
  }

  /** A message was received. */
  add(): void {
    this.#received += 1;
    while ((this.#waiting[0]?.until ?? Number.POSITIVE_INFINITY) <= this.#received) this.#waiting.shift()?.go();
  }
}
