import type { IncomingMessage } from '../../transport/message.ts';
import type { ServerTransport } from '../../transport/server.ts';
import type { SessionEnd, SessionPort, StreamOpener, StreamReceiver } from '../../transport/stream.ts';

/** A client's stream that keeps what it hears. */
export class Recorder implements StreamReceiver {
  readonly messages: IncomingMessage[] = [];
  readonly ends: string[] = [];
  readonly port: SessionPort;
  readonly streamId: string;

  constructor(port: SessionPort, streamId: string) {
    this.port = port;
    this.streamId = streamId;
  }

  get payloads(): unknown[] {
    return this.messages.map((message) => message.payload);
  }

  open(payload: unknown): void {
    this.port.openStream(this.streamId, this);
    const { streamId } = this;
    this.port.send({
      streamId,
      controlFlags: 2,
      serviceName: 'echo',
      procedureName: 'echo',
      tracing: { traceparent: '', tracestate: '' },
      payload,
    });
  }

  send(payload: unknown): void {
    this.port.send({ streamId: this.streamId, controlFlags: 0, payload });
  }

  end(): void {
    this.port.closeStream(this.streamId);
  }

  onMessage(message: IncomingMessage): void {
    this.messages.push(message);
  }

  onSessionEnd(end: SessionEnd): void {
    this.ends.push(end.code);
  }
}

/** A server that sends every payload back on its stream. */
export class Echo implements StreamOpener, StreamReceiver {
  readonly received: IncomingMessage[] = [];
  readonly ends: string[] = [];
  readonly ports: SessionPort[] = [];
  readonly #streams = new Map<string, SessionPort>();

  constructor(server: ServerTransport) {
    server.bindOpener(this);
  }

  onUnclaimedMessage(port: SessionPort, message: IncomingMessage): void {
    this.ports.push(port);
    this.#streams.set(message.streamId, port);
    port.openStream(message.streamId, this);
    this.onMessage(message);
  }

  onSessionEnded(_port: SessionPort): void {}

  onMessage(message: IncomingMessage): void {
    this.received.push(message);
    const port = this.#streams.get(message.streamId);
    port?.send({ streamId: message.streamId, controlFlags: 0, payload: message.payload });
  }

  onSessionEnd(end: SessionEnd): void {
    this.ends.push(end.code);
  }

  /** Closes every stream that is open. */
  end(): void {
    for (const [streamId, port] of this.#streams) port.closeStream(streamId);
  }
}
