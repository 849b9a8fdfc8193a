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

/** A server that sends every payload back on its stream, whoever's stream it is. */
export class Echo implements StreamOpener {
  readonly received: IncomingMessage[] = [];
  readonly ends: string[] = [];
  readonly ports: SessionPort[] = [];
  readonly #streams: { port: SessionPort; streamId: string }[] = [];

  constructor(server: ServerTransport) {
    server.bindOpener(this);
  }

  onUnclaimedMessage(port: SessionPort, message: IncomingMessage): void {
    const { streamId } = message;
    this.ports.push(port);
    this.#streams.push({ port, streamId });
    const receiver: StreamReceiver = {
      onMessage: (received) => {
        this.received.push(received);
        port.send({ streamId, controlFlags: 0, payload: received.payload });
      },
      onSessionEnd: (end) => void this.ends.push(end.code),
    };
    port.openStream(streamId, receiver);
    receiver.onMessage(message);
  }

  onSessionEnded(_port: SessionPort): void {}

  /** Closes every stream that is open. */
  end(): void {
    for (const { port, streamId } of this.#streams) port.closeStream(streamId);
  }
}
