import type { Codec } from '../../codec/codec.ts';
import type { Connection } from '../../transport/connection.ts';
import type { TransportMessage } from '../../transport/message.ts';

/** The numbers of a handshake request. */
export interface AskedState {
  nextExpectedSeq: number;
  nextSentSeq: number;
}

/** What a bare client says in its handshake. */
export interface BareHandshake {
  from?: string | undefined;
  to?: string | undefined;
  sessionId?: string | undefined;
  state?: AskedState | undefined;
  metadata?: unknown;
  extensions?: unknown;
  protocolVersion?: unknown;
}

/** The status of a handshake's answer, as it came. */
export interface AnsweredStatus {
  ok: boolean;
  code?: string;
  reason?: string;
  sessionId?: string;
  extensions?: unknown;
}

/** A handshake request, field by field. */
export function requestOf(handshake: BareHandshake = {}): Record<string, unknown> {
  const { from = 'client-1', to = 'SERVER', sessionId = 'session-1', metadata, extensions } = handshake;
  const payload: Record<string, unknown> = {
    type: 'HANDSHAKE_REQ',
    protocolVersion: handshake.protocolVersion ?? 'v2.0',
    sessionId,
    expectedSessionState: handshake.state ?? { nextExpectedSeq: 0, nextSentSeq: 0 },
  };
  if (metadata !== undefined) payload['metadata'] = metadata;
  if (extensions !== undefined) payload['extensions'] = extensions;
  return { id: 'bare', from, to, seq: 0, ack: 0, streamId: 'handshake', controlFlags: 0, payload };
}

/** A message of a bare client, field by field. */
export function messageOf(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: 'bare',
    from: 'client-1',
    to: 'SERVER',
    seq: 0,
    ack: 0,
    streamId: 's1',
    controlFlags: 0,
    payload: null,
    ...fields,
  };
}

/** One end of a connection that speaks frame by frame and remembers everything it hears. */
export class BarePeer implements Disposable {
  readonly connection: Connection;
  readonly codec: Codec;
  readonly messages: TransportMessage[] = [];
  #taken = 0;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(connection: Connection, codec: Codec) {
    this.connection = connection;
    this.codec = codec;
    connection.attach({
      onData: (frame) => {
        this.messages.push(codec.fromBuffer(frame) as TransportMessage); // whatever a holdfast peer sends is one
        this.#wake();
      },
      onClose: () => {
        this.#isClosed = true;
        this.#wake();
      },
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(message: Record<string, unknown>): void {
    this.sendBytes(this.codec.toBuffer(message));
  }

  sendBytes(frame: Uint8Array): void {
    this.connection.send(frame);
  }

  /** The next message nobody has taken yet. */
  async next(): Promise<TransportMessage> {
    for (;;) {
      const message = this.messages[this.#taken];
      if (message !== undefined) {
        this.#taken += 1;
        return message;
      }
      if (this.#isClosed) throw new Error('expected a message, but the connection was closed');
      await this.#changed();
    }
  }

  /** Resolves once the other end has closed. */
  async closed(): Promise<void> {
    while (!this.#isClosed) await this.#changed();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Asks, and waits for the answer. */
  async handshake(handshake: BareHandshake = {}): Promise<AnsweredStatus> {
    this.send(requestOf(handshake));
    return statusOf(await this.next());
  }

  /** Says yes to the handshake that comes next, and returns it. */
  async acceptHandshake(extensions?: unknown): Promise<TransportMessage> {
    const request = await this.next();
    this.answer(request, {
      ok: true,
      sessionId: sessionIdOf(request),
      ...(extensions === undefined ? {} : { extensions }),
    });
    return request;
  }

  /** Answers a handshake request. */
  answer(request: TransportMessage, status: Record<string, unknown>): void {
    const { from: to, to: from, streamId } = request;
    const payload = { type: 'HANDSHAKE_RESP', status };
    this.send({ id: 'bare', from, to, seq: 0, ack: 0, streamId, controlFlags: 0, payload });
  }

  close(): void {
    this.connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The status in a handshake's answer. */
export function statusOf(message: TransportMessage): AnsweredStatus {
  const { payload } = message;
  if (typeof payload !== 'object' || payload === null || !('status' in payload))
    throw new Error(`expected the answer to a handshake, got ${JSON.stringify(message)}`);
  return payload.status as AnsweredStatus; // tests compare it field by field
}

/** The session a handshake request names. */
export function sessionIdOf(request: TransportMessage): string {
  const { payload } = request;
  if (typeof payload !== 'object' || payload === null || !('sessionId' in payload))
    throw new Error(`expected a handshake request, got ${JSON.stringify(request)}`);
  return String(payload.sessionId);
}
