import type { Codec } from '../../codec/codec.ts';
import type { TransportEvents } from '../../transport/events.ts';
import { Identities } from './compare.ts';
import { Deviation } from './deviation.ts';
import { type RawClientTransport, type RawConnection, type RawServerTransport, ReplayClock } from './rawTransports.ts';
import type { RaisedLine, Side } from './recording.ts';
import type { Scenario } from './scenario.ts';

/** Virtual time that passes between two looks at what was sent: the shortest interval in any scenario. */
const STEP_MS = 10;
/** Virtual time within which everything must come that a recording has next: one beat, and half of one. */
const LIMIT_MS = 1_500;
/** Virtual time in which nothing may follow the end of a recording. The first beat comes later than this. */
const QUIET_MS = 300;
/** The same where no session is left: a client that has given up never dials again. */
const GIVEN_UP_MS = 60_000;

type Raised = Pick<RaisedLine, 'type' | 'code'>;

/** One side of a scenario, ours, without the other side: a recording takes its place. */
export abstract class Stage {
  abstract readonly side: Side;
  readonly clock = new ReplayClock();
  readonly ids = new Identities();
  protected readonly codec: Codec;
  protected abstract readonly transport: RawClientTransport | RawServerTransport;
  readonly #scenario: Scenario;
  readonly #raised: Raised[] = [];
  #application: 'runs' | 'done' | { readonly failure: unknown } = 'done';

  constructor(codec: Codec, scenario: Scenario) {
    this.codec = codec;
    this.#scenario = scenario;
  }

  /** The connection that the recording has next. */
  abstract open(): Promise<RawConnection>;

  /** What our side has done that no recording has, if anything, besides sending and closing. */
  get surplus(): string | undefined {
    return undefined;
  }

  /** What is there after the end that should not be, if anything, besides timers and sessions. */
  protected get leftover(): string | undefined {
    return undefined;
  }

  /** The protocol errors that our side has raised. */
  get raised(): readonly Raised[] {
    return this.#raised;
  }

  /** What a frame of ours says. */
  decode(frame: Uint8Array): unknown {
    return this.codec.fromBuffer(frame);
  }

  protected readonly onProtocolError = ({ type, code }: TransportEvents['protocolError']): void => {
    this.#raised.push({ type, code });
  };

  /** Follows what the application does, up to the end. */
  protected follow(application: Promise<void>): void {
    this.#application = 'runs';
    application.then(
      () => {
        this.#application = 'done';
      },
      (failure: unknown) => {
        this.#application = { failure };
      },
    );
  }

  /** Something that comes by itself, or when its time has come. Undefined if it does not. */
  async wait<T>(probe: () => T | undefined): Promise<T | undefined> {
    for (let waitedMs = 0; ; waitedMs += STEP_MS) {
      const found = probe();
      if (found !== undefined || waitedMs >= LIMIT_MS) return found;
      await this.clock.advance(STEP_MS);
      await this.clock.settled();
    }
  }

  /** Lets time pass behind the last line, and looks at what is left then. */
  async finish(): Promise<void> {
    const { sessionsLeft, keepsTalking } = this.#scenario;
    if (typeof this.#application === 'object') throw this.#application.failure;
    if (this.#application === 'runs') throw new Deviation('the application still waits for something');
    if (keepsTalking !== true) await this.clock.advance(sessionsLeft > 0 ? QUIET_MS : GIVEN_UP_MS);
    await this.clock.settled();
    const { size } = this.transport.sessions;
    if (size !== sessionsLeft) throw new Deviation(`${sessionsLeft} sessions should be left, ${size} are`);
  }

  /** Ends our side. */
  async close(): Promise<void> {
    this.transport.close();
    await this.clock.settled();
  }

  /** @throws {Error} if anything of our side has outlived its end */
  assertNothingLeft(): void {
    const { pendingTimers } = this.clock;
    const { size } = this.transport.sessions;
    const left = pendingTimers > 0 ? `${pendingTimers} timers` : size > 0 ? `${size} sessions` : this.leftover;
    if (left !== undefined) throw new Error(`our ${this.side} left behind: ${left}`);
  }
}
