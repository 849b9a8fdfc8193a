import type { Clock } from '../../clock.ts';
import { Connection } from '../../connection.ts';
import { FrameTooLargeError } from '../../errors.ts';
import type { ConnectionInfo } from '../../handshake.ts';

/** Bytes over memory that is not shared; older compilers have no name for the difference. */
export type OwnBytes = ReturnType<Uint8ArrayConstructor['of']>;

/**
 * What is used of a WebSocket: the DOM's and `ws`'s both fit, and what Bun, Deno and frameworks hand out.
 * Handlers are typed by what they may be given, which lets both kinds in.
 */
export interface WebSocketLike {
  readonly readyState: number;
  binaryType: string;
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  send(data: OwnBytes): void;
  close(code?: number, reason?: string): void;
  /** Bytes that were sent and have not left. */
  readonly bufferedAmount?: number;
  /** Only `ws` has it: ends the socket without a goodbye. */
  terminate?(): void;
}

/** `WebSocket.readyState` by name. */
export const ReadyState = { connecting: 0, open: 1, closing: 2, closed: 3 } as const;

/** The socket under a WebSocket, where it can be reached. */
export interface SocketBeneath {
  readonly bytesRead: number;
  cork(): void;
  uncork(): void;
}

/** How long a peer may take to answer a goodbye before its socket is destroyed. */
const LINGER_MS = 1_000;

/** "Normal closure", RFC 6455. */
const CLOSE_NORMAL = 1000;

const utf8 = new TextEncoder();

/** Bytes of whatever a WebSocket delivers; undefined for what is none (a Blob). Text is taken as its UTF-8. */
function bytesOf(data: unknown): Uint8Array | undefined {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (typeof data === 'string') return utf8.encode(data);
  return undefined;
}

/** One open WebSocket: one frame a message. */
export class WebSocketConnection extends Connection {
  readonly #ws: WebSocketLike;
  readonly #clock: Clock;
  readonly #socket: SocketBeneath | undefined;

  /**
   * Takes over every handler of `ws`, which is open.
   * @param socket the one underneath, where it can be reached
   */
  constructor(ws: WebSocketLike, info: ConnectionInfo, clock: Clock, socket?: SocketBeneath) {
    super(info);
    this.#ws = ws;
    this.#clock = clock;
    this.#socket = socket;
    ws.binaryType = 'arraybuffer';
    let error: unknown;
    ws.onmessage = (event: { data: unknown }) => {
      const frame = bytesOf(event.data);
      if (frame !== undefined) this.deliver(frame);
    };
    ws.onerror = (event: { error?: unknown; message?: string }) => {
      // An error is always followed by a close, which reports it.
      error = explain(event.error) ?? new Error(event.message || 'the WebSocket failed');
    };
    ws.onclose = () => this.ended(error);
    // It may have closed while it was handed over.
    if (ws.readyState > ReadyState.open) this.ended();
  }

  override get bytesRead(): number | undefined {
    return this.#socket?.bytesRead;
  }

  override cork(): void {
    this.#socket?.cork();
  }

  override uncork(): void {
    this.#socket?.uncork();
  }

  override get bufferedBytes(): number {
    return this.#ws.bufferedAmount ?? 0;
  }

  override send(frame: Uint8Array): boolean {
    if (this.isEnded || this.#ws.readyState !== ReadyState.open) return false;
    try {
      // No codec makes a view of shared memory.
      this.#ws.send(frame as OwnBytes);
      return true;
    } catch {
      // It was closing; its close event says so to whoever reads.
      return false;
    }
  }

  protected override destroy(): void {
    const ws = this.#ws;
    closeQuietly(ws);
    if (ws.terminate === undefined || ws.readyState === ReadyState.closed) return;
    // `ws` alone would wait 30 s for a peer that does not answer.
    const cancel = this.#clock.after(LINGER_MS, () => ws.terminate?.());
    ws.onclose = cancel;
  }
}

/** `ws` refuses a frame over its `maxPayload` itself; that is a matter of the session, not of this connection. */
function explain(error: unknown): unknown {
  const isTooLarge = error instanceof Error && 'code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
  return isTooLarge ? new FrameTooLargeError('maxPayload', 'more', { cause: error }) : error;
}

/** Closes in whichever state it is; a WebSocket that was never opened may throw or report on being closed. */
export function closeQuietly(ws: WebSocketLike): void {
  ws.onopen = null;
  ws.onmessage = null;
  ws.onclose = null;
  // Kept: `ws` emits an error when it is closed before it was open, and an error nobody listens to ends the process.
  ws.onerror = () => undefined;
  try {
    ws.close(CLOSE_NORMAL);
  } catch {
    // Already closed.
  }
}
