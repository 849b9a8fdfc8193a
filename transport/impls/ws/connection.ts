import type { Clock } from '../../clock.ts';
import { Connection, type ConnectionDetails } from '../../connection.ts';
import { FrameTooLargeError } from '../../errors.ts';

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

/**
 * What `ws` has besides. Its listeners get the bytes as they were read, and one function serves all connections; its
 * `on…` handlers cost a copy and an event object a message, and some 500 bytes a connection.
 */
interface EmittingWebSocket extends WebSocketLike {
  [connectionOf]?: WebSocketConnection | undefined;
  on(event: 'message', listener: typeof onMessage): unknown;
  on(event: 'error', listener: typeof onError): unknown;
  on(event: 'close', listener: typeof onClose): unknown;
  once(event: 'close', listener: () => void): unknown;
  terminate(): void;
}

const connectionOf = Symbol('holdfast.connection');

function isEmitting(ws: WebSocketLike): ws is EmittingWebSocket {
  return 'on' in ws && typeof ws.on === 'function' && ws.terminate !== undefined;
}

function onMessage(this: EmittingWebSocket, data: unknown): void {
  this[connectionOf]?.onMessage(data);
}

function onError(this: EmittingWebSocket, error: unknown): void {
  this[connectionOf]?.onError(error);
}

function onClose(this: EmittingWebSocket): void {
  this[connectionOf]?.onClose();
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
  constructor(
    ws: WebSocketLike,
    clock: Clock,
    details?: ConnectionDetails | (() => ConnectionDetails),
    socket?: SocketBeneath,
  ) {
    super('ws', details);
    this.#ws = ws;
    this.#clock = clock;
    this.#socket = socket;
    if (isEmitting(ws)) {
      ws.binaryType = 'nodebuffer';
      ws[connectionOf] = this;
      ws.on('message', onMessage);
      ws.on('error', onError);
      ws.on('close', onClose);
      // Whoever dialled it has done with it.
      ws.onopen = ws.onmessage = ws.onerror = ws.onclose = null;
    } else {
      ws.binaryType = 'arraybuffer';
      ws.onmessage = (event: { data: unknown }) => this.onMessage(event.data);
      ws.onerror = (event: { error?: unknown; message?: string }) =>
        this.onError(event.error ?? new Error(event.message || 'the WebSocket failed'));
      ws.onclose = () => this.onClose();
    }
    // It may have closed while it was handed over.
    if (ws.readyState > ReadyState.open) this.ended();
  }

  /** The WebSocket's event. */
  onMessage(data: unknown): void {
    const frame = bytesOf(data);
    if (frame !== undefined) this.deliver(frame);
  }

  /** The WebSocket's event. It is always followed by a close, which reports it. */
  onError(error: unknown): void {
    this.failing(explain(error));
  }

  /** The WebSocket's event. */
  onClose(): void {
    this.ended();
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

  protected override abort(): void {
    const ws = this.#ws;
    if (ws.terminate === undefined) return this.destroy();
    forget(ws);
    terminateQuietly(ws);
  }

  protected override destroy(): void {
    const ws = this.#ws;
    forget(ws);
    closeQuietly(ws);
    if (ws.terminate === undefined || ws.readyState === ReadyState.closed) return;
    // `ws` alone would wait 30 s for a peer that does not answer.
    const cancel = this.#clock.after(LINGER_MS, () => terminateQuietly(ws));
    if (isEmitting(ws)) ws.once('close', cancel);
    else ws.onclose = cancel;
  }
}

/** Its listeners stay, and hear nothing any more: an error that nobody listens to would end the process. */
function forget(ws: WebSocketLike): void {
  if (isEmitting(ws)) ws[connectionOf] = undefined;
}

/** Whoever made it may have a `terminate` of its own; one that throws must keep no session from going on. */
function terminateQuietly(ws: WebSocketLike): void {
  try {
    ws.terminate?.();
  } catch {
    // Nothing else can be done to it.
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
