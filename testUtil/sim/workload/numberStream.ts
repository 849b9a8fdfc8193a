import { type IncomingMessage, isStreamClose } from '../../../transport/message.ts';
import type { SessionPort, StreamReceiver } from '../../../transport/stream.ts';

const LETTERS = 'the quick brown fox jumps over the lazy dog 0123456789 ';

/** What message `tag` carries besides its number. */
export function bodyOf(tag: number, largeOneIn: number): string {
  const length = tag % largeOneIn === 0 ? 2_000 + (tag % 7_000) : tag % 40;
  return LETTERS.repeat(Math.ceil((length + 1) / LETTERS.length)).slice(0, length);
}

/** What hears of a stream's messages and end. */
export interface NumberReceiver {
  /** A message was delivered. */
  received(port: SessionPort, message: IncomingMessage): void;
  /** It has been looked at; `isLast` if nothing follows. */
  heard(stream: NumberStream, isLast: boolean): void;
  /** The session of the stream has ended. */
  told(stream: NumberStream): void;
}

/** One end of a stream of numbered messages. */
export class NumberStream implements StreamReceiver {
  readonly port: SessionPort;
  readonly id: string;
  /** True once this side has said its last word. */
  isClosing = false;
  readonly #program: NumberReceiver;

  constructor(program: NumberReceiver, port: SessionPort, id: string) {
    this.#program = program;
    this.port = port;
    this.id = id;
  }

  onMessage(message: IncomingMessage): void {
    this.#program.received(this.port, message);
    this.#program.heard(this, isStreamClose(message.controlFlags));
  }

  onSessionEnd(): void {
    this.#program.told(this);
  }
}
