import { ReadyState, type WebSocketLike } from '../../transport/impls/ws/connection.ts';

/** One end of a WebSocket without a network, as small as the interface allows. */
export class PipeSocket implements WebSocketLike {
  readyState: number = ReadyState.open;
  binaryType = 'blob';
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onerror: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  readonly sent: Uint8Array[] = [];
  peer: PipeSocket | undefined;
  /** False: what is sent is kept in {@link sent} and goes nowhere. */
  isLive = true;

  /** Two ends; what one sends the other hears within that very call. */
  static synchronousPair(): [PipeSocket, PipeSocket] {
    const a = new PipeSocket();
    const b = new PipeSocket();
    a.peer = b;
    b.peer = a;
    return [a, b];
  }

  send(data: Uint8Array): void {
    if (this.readyState !== ReadyState.open) throw new Error('the pipe is closed');
    this.sent.push(data);
    if (this.isLive) this.peer?.hear(data);
  }

  /** As if the peer had sent it. */
  hear(data: unknown): void {
    this.onmessage?.({ data } as never);
  }

  close(): void {
    if (this.readyState === ReadyState.closed) return;
    this.readyState = ReadyState.closed;
    this.onclose?.({ code: 1000, reason: '' } as never);
    this.peer?.close();
  }
}
