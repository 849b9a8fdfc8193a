import { ClientTransport } from '../../client.ts';
import type { CancelTimer, Clock } from '../../clock.ts';
import type { ClientTransportOptions } from '../../options.ts';
import type { Dial, DialCallbacks } from '../../session/SessionConnecting.ts';
import { callSafely, isThenable } from '../../thenable.ts';
import { closeQuietly, ReadyState, WebSocketConnection, type WebSocketLike } from './connection.ts';

export type { WebSocketLike } from './connection.ts';

/** Makes a WebSocket for one dial; the transport owns it from then on. May be asynchronous, may throw. */
export type WebSocketGetter = (to: string) => WebSocketLike | Promise<WebSocketLike>;

/** One dial: from the getter to an open WebSocket, or to its failure. */
class WebSocketDial {
  readonly #callbacks: DialCallbacks;
  readonly #clock: Clock;
  #ws: WebSocketLike | undefined;
  #abandoned = false;

  constructor(getter: () => WebSocketLike | Promise<WebSocketLike>, callbacks: DialCallbacks, clock: Clock) {
    this.#callbacks = callbacks;
    this.#clock = clock;
    try {
      const ws = getter();
      if (!isThenable(ws)) this.#watch(ws);
      else callSafely(() => Promise.resolve(ws).then((value) => this.#watch(value)), callbacks.onError);
    } catch (error) {
      callbacks.onError(error);
    }
  }

  #watch(ws: WebSocketLike): void {
    // A getter of plain JavaScript may come back with nothing.
    if (typeof ws !== 'object' || ws === null) {
      return this.#callbacks.onError(
        new TypeError(`the getter of WebSockets: expected a WebSocket, got ${String(ws)}`),
      );
    }
    if (this.#abandoned) return closeQuietly(ws);
    this.#ws = ws;
    // Set before it opens: the first frame may come with the very packet that opens it.
    ws.binaryType = 'arraybuffer';
    if (ws.readyState === ReadyState.open) return this.#opened(ws);
    if (ws.readyState > ReadyState.open)
      return this.#callbacks.onError(new Error('the WebSocket was closed before it was open'));
    ws.onopen = () => this.#opened(ws);
    ws.onerror = (event: { error?: unknown; message?: string }) => {
      const error = event.error ?? new Error(event.message || 'the WebSocket could not be opened');
      closeQuietly(ws);
      this.#callbacks.onError(error);
    };
    ws.onclose = (event: { code?: number; reason?: string }) =>
      this.#callbacks.onError(
        new Error(`the WebSocket was closed before it was open (${event.code ?? 0} ${event.reason ?? ''})`.trim()),
      );
  }

  #opened(ws: WebSocketLike): void {
    this.#callbacks.onOpen(new WebSocketConnection(ws, this.#clock));
  }

  abandon(): void {
    this.#abandoned = true;
    if (this.#ws !== undefined) closeQuietly(this.#ws);
  }
}

/** The part of a browser's window and document that says when a dial is worth it again. */
interface Wakeable {
  addEventListener?(name: string, listener: () => void): void;
  removeEventListener?(name: string, listener: () => void): void;
}

function listen(target: Wakeable | undefined, name: string, listener: () => void): CancelTimer {
  if (target?.addEventListener === undefined) return () => undefined;
  target.addEventListener(name, listener);
  return () => target.removeEventListener?.(name, listener);
}

/** A client over WebSocket, in browsers and elsewhere. Constructing it connects nothing. */
export class WebSocketClientTransport extends ClientTransport {
  readonly #getter: WebSocketGetter;
  #stopListening: CancelTimer | undefined;

  /**
   * @param getter makes a WebSocket for each dial: `() => new WebSocket(url)`
   * @param clientId our id; a random one keeps tabs apart
   */
  constructor(getter: WebSocketGetter, clientId?: string, options: ClientTransportOptions = {}) {
    super(clientId, options);
    this.#getter = getter;
  }

  protected override dial(to: string): Dial {
    this.#stopListening ??= this.#listenForWaking();
    return (callbacks) => {
      const dial = new WebSocketDial(() => this.#getter(to), callbacks, this.clock);
      return () => dial.abandon();
    };
  }

  /** In browsers: the network is back, or the user is. Elsewhere neither event exists. */
  #listenForWaking(): CancelTimer {
    // Absent outside browsers, and a worker has no window: there the global object is told.
    const { window, document } = globalThis as {
      window?: Wakeable;
      document?: Wakeable & { visibilityState?: string };
    };
    const stopOnline = listen(window ?? (globalThis as Wakeable), 'online', () => this.endBackoff());
    const stopVisible = listen(document, 'visibilitychange', () => {
      if (document?.visibilityState === 'visible') this.endBackoff();
    });
    return () => {
      stopOnline();
      stopVisible();
    };
  }

  protected override onClose(): void {
    super.onClose();
    this.#stopListening?.();
    this.#stopListening = undefined;
  }
}
