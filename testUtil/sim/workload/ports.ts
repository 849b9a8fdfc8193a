import { HoldfastError } from '../../../transport/errors.ts';
import {
  ControlFlags,
  closeMessage,
  type IncomingMessage,
  isClosePayload,
  isStreamOpen,
} from '../../../transport/message.ts';
import type { SessionPort } from '../../../transport/stream.ts';
import { Random } from '../engine/random.ts';
import { bodyOf, type NumberReceiver, NumberStream } from './numberStream.ts';
import type { ClientContext, ProgramContext, RunningProgram, ServerContext, Workload } from './workload.ts';

/** How busy the programs are. */
export interface PortSettings {
  /** Between two things that a program does. */
  readonly gapMs: number;
  readonly maxBurst: number;
  readonly maxStreams: number;
  /** One of so many messages is large. */
  readonly largeOneIn: number;
  /** How much of a stream may wait for a slow reader before the last message, in cost; 0: readers are not slow. */
  readonly heldBytes: number;
}

/** So often is a message not read at once, */
const HOLD = 0.3;
/** but within so many milliseconds. */
const HOLD_MS = 400;

const SERVICE = { serviceName: 'sim', procedureName: 'numbers', tracing: { traceparent: '', tracestate: '' } };
/** What both programs do: open streams of numbered messages, send, compare what comes. */
abstract class PortProgram implements RunningProgram, NumberReceiver {
  protected readonly context: ProgramContext;
  protected readonly settings: PortSettings;
  protected readonly random: Random;
  protected streams: NumberStream[] = [];
  #stop: () => void = () => undefined;
  readonly #reads = new Set<() => void>();
  /** What is held of the streams of a session. By itself and not by its id: one that was rolled back begins again under the same. */
  readonly #held = new WeakMap<SessionPort, Map<string, number>>();

  constructor(context: ProgramContext, settings: PortSettings) {
    this.context = context;
    this.settings = settings;
    this.random = new Random(context.clock.random() * 2 ** 32);
    this.#wait();
  }

  abstract heard(stream: NumberStream, isLast: boolean): void;
  protected abstract act(): void;

  close(): void {
    this.#stop();
    for (const stop of this.#reads) stop();
  }

  /** A number was delivered: it must be the next, and whole. */
  received(port: SessionPort, message: IncomingMessage): void {
    const { id } = port;
    const { payload, streamId } = message;
    if (isClosePayload(payload)) return;
    const { m: tag, b: body } = payload as { m: number; b: string }; // only our own programs send here
    this.context.witness.received(id, streamId, tag);
    if (this.settings.heldBytes > 0 && message.cost !== undefined && this.context.isBusy() && this.random.chance(HOLD))
      this.#hold(port, message);
    if (body !== bodyOf(tag, this.settings.largeOneIn))
      this.context.witness.contradicted(id, '1', `message ${tag} arrived changed`);
  }

  /** Reads it later, as a slow reader does. */
  #hold(port: SessionPort, message: IncomingMessage): void {
    const { streamId, cost = 0 } = message;
    const streams = this.#held.get(port) ?? new Map<string, number>();
    this.#held.set(port, streams);
    const held = (streams.get(streamId) ?? 0) + cost;
    message.isHeld = true;
    streams.set(streamId, held);
    // One message more than the window at most: what was there before the last one fits it.
    if (held - cost > this.settings.heldBytes)
      this.context.fail('10', `stream ${streamId} holds ${held - cost} that nobody has read, and more comes`);
    const stop = this.context.clock.after(this.random.between(0, HOLD_MS), () => {
      this.#reads.delete(stop);
      streams.set(streamId, (streams.get(streamId) ?? 0) - cost);
      port.consumed(streamId, cost);
    });
    this.#reads.add(stop);
  }

  told(stream: NumberStream): void {
    this.context.witness.callTold(stream.port.id, stream.id);
    this.streams = this.streams.filter((other) => other !== stream);
  }

  protected open(port: SessionPort, id: string): NumberStream {
    const stream = new NumberStream(this, port, id);
    port.openStream(id, stream);
    this.context.witness.callOpened(port.id, id);
    this.streams.push(stream);
    return stream;
  }

  protected done(stream: NumberStream): void {
    stream.port.closeStream(stream.id);
    this.context.witness.callDone(stream.port.id, stream.id);
    this.streams = this.streams.filter((other) => other !== stream);
  }

  /** Sends the next number. Returns false where the session is full or has ended, as it may be. */
  protected send(stream: NumberStream, controlFlags: number, names: object = {}): boolean {
    const tag = this.context.nextTag();
    const payload = { m: tag, b: bodyOf(tag, this.settings.largeOneIn) };
    try {
      stream.port.send({ streamId: stream.id, controlFlags, payload, ...names });
    } catch (error) {
      const isDefined =
        error instanceof HoldfastError && ['SESSION_BUFFER_FULL', 'SESSION_CLOSED'].includes(error.code);
      if (!isDefined) this.context.fail('10', `send failed with ${String(error)}`);
      return false;
    }
    this.context.witness.sent(stream.port.id, stream.id, tag);
    return true;
  }

  protected sendClose({ id, port }: NumberStream): void {
    port.send(closeMessage(id));
    this.context.witness.closeSent(port.id);
  }

  #wait(): void {
    this.#stop = this.context.clock.after(this.random.between(0, 2 * this.settings.gapMs), () => {
      if (!this.context.isBusy()) return;
      this.act();
      this.#wait();
    });
  }
}

/** Opens streams and closes them; the server follows. */
class PortClient extends PortProgram {
  readonly #client: ClientContext;

  constructor(context: ClientContext, settings: PortSettings) {
    super(context, settings);
    this.#client = context;
  }

  override heard(stream: NumberStream, isLast: boolean): void {
    if (isLast) this.done(stream);
  }

  probe(): void {
    this.#begin();
  }

  protected override act(): void {
    const open = this.streams.filter((stream) => !stream.isClosing);
    const [first, ...others] = open;
    if (first === undefined || (open.length < this.settings.maxStreams && this.random.chance(0.2)))
      return this.#begin();
    const stream = this.random.pick([first, ...others]);
    if (this.random.chance(0.1)) return this.#close(stream);
    for (let i = this.random.integer(1, this.settings.maxBurst); i > 0; i--) if (!this.send(stream, 0)) return;
  }

  #begin(): void {
    const port = this.#client.transport.openSession(this.#client.serverId);
    const stream = this.open(port, port.newStreamId());
    if (!this.send(stream, ControlFlags.StreamOpen, SERVICE)) this.done(stream);
  }

  #close(stream: NumberStream): void {
    stream.isClosing = true;
    if (stream.port.isOpen) this.sendClose(stream);
  }
}

/** Answers every stream with numbers of its own. */
class PortServer extends PortProgram {
  constructor(context: ServerContext, settings: PortSettings) {
    super(context, settings);
    context.transport.bindOpener({
      onUnclaimedMessage: (port, message) => this.#opened(port, message),
      onSessionEnded: () => undefined,
    });
  }

  override heard(stream: NumberStream, isLast: boolean): void {
    if (!isLast) return;
    if (!this.send(stream, ControlFlags.StreamClose)) this.sendClose(stream);
    this.done(stream);
  }

  protected override act(): void {
    const [first, ...others] = this.streams;
    if (first === undefined) return;
    const stream = this.random.pick([first, ...others]);
    for (let i = this.random.integer(1, this.settings.maxBurst); i > 0; i--) if (!this.send(stream, 0)) return;
  }

  #opened(port: SessionPort, message: IncomingMessage): void {
    if (!isStreamOpen(message.controlFlags))
      return this.context.witness.contradicted(
        port.id,
        '1',
        `a message of stream ${message.streamId} came without its opening`,
      );
    const stream = this.open(port, message.streamId);
    this.received(port, message);
    this.send(stream, 0);
  }
}

/** Numbered messages on streams, both ways, without the router. */
export function portWorkload(settings: PortSettings): Workload {
  return {
    name: 'ports',
    startServer: (context) => new PortServer(context, settings),
    startClient: (context) => new PortClient(context, settings),
  };
}
