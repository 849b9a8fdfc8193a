import { connect as connectSocket, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { createClient } from '../router/client.ts';
import type { Client } from '../router/clientTypes.ts';
import type { Writable } from '../router/writable.ts';
import { WebSocketClientTransport } from '../transport/impls/ws/client.ts';
import { Sequence } from './sequence.ts';
import { type Services, TEXT } from './services.ts';

/** One client of the library, every option at its default, and a hand on the socket underneath. */
export class LoadClient {
  readonly transport: WebSocketClientTransport;
  readonly received = new Sequence();
  /** Of the connection that was dialled last. */
  socket: Socket | undefined;
  /** Called when a connection carries the session. */
  onConnected: () => void = () => undefined;
  /** Called for each message received, once it is counted. */
  onMessage: () => void = () => undefined;
  isConnected = false;
  sessionId = '';
  /** Sessions begun, and messages carried again by a new connection. */
  sessions = 0;
  resent = 0;
  /** Times a stream ended, with an error or without. */
  streamEnds = 0;
  readonly #client: Client<Services>;
  #writable: Writable<{ n: number; text: string }> | undefined;
  #sent = 0;

  constructor(port: number, clientId: string) {
    const createConnection = () => {
      this.socket = connectSocket({ port, host: '127.0.0.1' });
      return this.socket;
    };
    const dial = () => new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false, createConnection });
    this.transport = new WebSocketClientTransport(dial, clientId);
    this.transport.addEventListener('sessionStatus', (event) => {
      if (event.status === 'created') this.sessions += 1;
    });
    this.transport.addEventListener('sessionTransition', ({ state, id, resent }) => {
      this.isConnected = state === 'Connected';
      if (!this.isConnected) return;
      this.sessionId = id;
      this.resent += resent;
      this.onConnected();
    });
    this.#client = createClient<Services>(this.transport, 'SERVER', { eagerlyConnect: false });
  }

  /** Resolves when there is a connection. */
  connect(): Promise<void> {
    return new Promise((resolve) => {
      this.onConnected = () => {
        this.onConnected = () => undefined;
        resolve();
      };
      this.transport.connect('SERVER');
    });
  }

  /** Opens a stream and counts what comes. */
  open(procedure: 'numbers' | 'echo'): void {
    const { reqWritable, resReadable } = this.#client.load[procedure].stream({});
    this.#writable = reqWritable;
    const read = async () => {
      for await (const item of resReadable) {
        if (!item.ok) break;
        this.received.take(item.payload.n);
        this.onMessage();
      }
      this.streamEnds += 1;
    };
    void read();
  }

  write(messages: number): void {
    for (let i = 0; i < messages; i++) this.#writable?.write({ n: this.#sent++, text: TEXT });
  }

  /** Messages that the server has not confirmed. */
  get unacked(): number {
    return this.transport.sessions.get('SERVER')?.core.ledger.unackedCount ?? 0;
  }
}
