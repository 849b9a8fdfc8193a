import { JsonCodec } from '../../codec/json.ts';
import { VirtualClock } from '../../testUtil/virtualClock.ts';
import { Connection } from '../../transport/connection.ts';
import type { AgreedExtensions } from '../../transport/extensions.ts';
import { BoundLogger } from '../../transport/log.ts';
import { type SettledTransportOptions, settleServerOptions, type TransportOptions } from '../../transport/options.ts';
import type { BaseState } from '../../transport/session/common.ts';
import { SessionCore } from '../../transport/session/core.ts';
import type { SessionEnvironment } from '../../transport/session/environment.ts';
import type { SessionOwner } from '../../transport/session/owner.ts';
import type { SessionBackingOff } from '../../transport/session/SessionBackingOff.ts';
import type { SessionConnected } from '../../transport/session/SessionConnected.ts';
import type { SessionConnecting } from '../../transport/session/SessionConnecting.ts';
import type { SessionHandshaking } from '../../transport/session/SessionHandshaking.ts';
import type { SessionNoConnection } from '../../transport/session/SessionNoConnection.ts';
import type { SessionWaitingForHandshake } from '../../transport/session/SessionWaitingForHandshake.ts';
import * as transitions from '../../transport/session/transitions.ts';
import { TurnEnd } from '../../transport/session/turnEnd.ts';
import { VerdictQueue } from '../../transport/session/verdictQueue.ts';
import { NO_SPAN, noTelemetry } from '../../transport/telemetry.ts';
import { TimerWheel } from '../../transport/wheel.ts';

/** A pipe to nowhere. */
export class DeadEnd extends Connection {
  readonly sent: Uint8Array[] = [];
  /** Whether what is sent stays in it. */
  isStuck = false;
  held = 0;
  /** Called within {@link send}, before what is sent counts. */
  onSend: () => void = () => undefined;

  constructor() {
    super('memory');
  }

  override get bufferedBytes(): number {
    return this.held;
  }

  override send(frame: Uint8Array): boolean {
    if (this.isEnded) return false;
    this.sent.push(frame);
    this.onSend();
    if (this.isStuck) this.held += frame.length;
    return true;
  }

  /** As if the peer had sent it. */
  hear(frame: Uint8Array): void {
    this.deliver(frame);
  }

  /** How it was ended by its owner. */
  endedBy: 'close' | 'terminate' | undefined;

  protected override destroy(): void {
    this.endedBy = 'close';
  }

  protected override abort(): void {
    this.endedBy = 'terminate';
  }
}

type Reported = [event: keyof SessionOwner, ...args: unknown[]];

/** Makes states without a transport around them, and remembers what they report. */
export class StateBench {
  readonly reported: Reported[] = [];
  readonly clock = new VirtualClock(() => Promise.resolve());
  readonly wheel = new TimerWheel(this.clock, 20, (error) => {
    throw error;
  });
  readonly connections: DeadEnd[] = [];
  /** Whether something waits for the end of the owner's turn. */
  readonly queue = {
    hasWaiting: false,
    post<S extends { _isConsumed: boolean }, A>(state: S, handle: (state: S, argument: A) => void, argument: A): void {
      if (!state._isConsumed) handle(state, argument);
    },
  };
  readonly env: SessionEnvironment;
  abandonedDials = 0;

  constructor(options: TransportOptions = {}) {
    const settled: SettledTransportOptions = settleServerOptions({ clock: this.clock, codec: JsonCodec, ...options });
    const { clock, wheel } = this;
    const owner = this.#owner();
    this.env = {
      owner,
      options: settled,
      clock,
      wheel,
      queue: this.queue,
      flushes: new TurnEnd(this.clock, () => undefined),
      verdicts: new VerdictQueue(this.clock, () => undefined),
      logger: new BoundLogger(),
      telemetry: noTelemetry,
      opener: () => undefined,
    };
  }

  #owner(): SessionOwner {
    const report = (event: keyof SessionOwner, args: unknown[]) => this.reported.push([event, ...args]);
    const owner = new Proxy(
      {},
      {
        get:
          (_, name) =>
          (...args: unknown[]) =>
            report(name as keyof SessionOwner, args),
      },
    );
    return owner as SessionOwner; // every method is there: what states report is written down
  }

  /** Timers that states have started, on the clock and on the wheel. */
  get timers(): number {
    return this.clock.pendingTimers + this.clock.pendingIo + this.wheel.size;
  }

  core(): SessionCore {
    return new SessionCore('session-1', 'us', 'them', this.env, NO_SPAN);
  }

  connection(): DeadEnd {
    const connection = new DeadEnd();
    this.connections.push(connection);
    return connection;
  }

  #entered<S extends BaseState>(state: S): S {
    state.onEnter();
    return state;
  }

  noConnection(): SessionNoConnection {
    return this.#entered(transitions.createNoConnection(this.core()));
  }

  backingOff(): SessionBackingOff {
    return this.#entered(transitions.noConnectionToBackingOff(this.noConnection(), 100));
  }

  connecting(): SessionConnecting {
    const dial = () => () => {
      this.abandonedDials += 1;
    };
    return this.#entered(transitions.backingOffToConnecting(this.backingOff(), dial));
  }

  handshaking(): SessionHandshaking {
    const connection = this.connection();
    return this.#entered(transitions.connectingToHandshaking(this.connecting(), connection, () => undefined));
  }

  /** As a client has it. */
  connected(extensions: AgreedExtensions = {}): SessionConnected {
    const old = this.handshaking();
    old.core.agree({ codec: JsonCodec, extensions }, 0);
    return this.#entered(transitions.handshakingToConnected(old));
  }

  waiting(): SessionWaitingForHandshake {
    return this.#entered(transitions.createWaitingForHandshake('connection-1', 7, this.connection(), this.env));
  }
}

/** Every export of transitions.ts that is an edge or an entry, and how to make it happen. */
export const edges: Record<string, (bench: StateBench) => { before: Record<string, BaseState>; go: () => BaseState }> =
  {
    createNoConnection: (bench) => ({ before: {}, go: () => transitions.createNoConnection(bench.core()) }),
    createWaitingForHandshake: (bench) => ({
      before: {},
      go: () => transitions.createWaitingForHandshake('connection-1', 0, bench.connection(), bench.env),
    }),
    noConnectionToBackingOff: (bench) => {
      const old = bench.noConnection();
      return { before: { old }, go: () => transitions.noConnectionToBackingOff(old, 100) };
    },
    backingOffToConnecting: (bench) => {
      const old = bench.backingOff();
      return { before: { old }, go: () => transitions.backingOffToConnecting(old, () => () => undefined) };
    },
    connectingToHandshaking: (bench) => {
      const old = bench.connecting();
      const connection = bench.connection();
      return { before: { old }, go: () => transitions.connectingToHandshaking(old, connection, () => undefined) };
    },
    handshakingToConnected: (bench) => {
      const old = bench.handshaking();
      return { before: { old }, go: () => transitions.handshakingToConnected(old) };
    },
    connectingToNoConnection: (bench) => {
      const old = bench.connecting();
      return { before: { old }, go: () => transitions.connectingToNoConnection(old) };
    },
    handshakingToNoConnection: (bench) => {
      const old = bench.handshaking();
      return { before: { old }, go: () => transitions.handshakingToNoConnection(old) };
    },
    connectedToNoConnection: (bench) => {
      const old = bench.connected();
      return { before: { old }, go: () => transitions.connectedToNoConnection(old) };
    },
    waitingToConnected: (bench) => {
      const pending = bench.waiting();
      return { before: { pending }, go: () => transitions.waitingToConnected(pending, bench.core(), new Uint8Array()) };
    },
    waitingAndNoConnectionToConnected: (bench) => {
      const pending = bench.waiting();
      const old = bench.noConnection();
      return {
        before: { pending, old },
        go: () => transitions.waitingAndNoConnectionToConnected(pending, old, new Uint8Array()),
      };
    },
    waitingAndConnectedToConnected: (bench) => {
      const pending = bench.waiting();
      const old = bench.connected();
      return {
        before: { pending, old },
        go: () => transitions.waitingAndConnectedToConnected(pending, old, new Uint8Array()),
      };
    },
  };

/** Every state, and how to make one. */
export const states: Record<string, (bench: StateBench) => BaseState> = {
  NoConnection: (bench) => bench.noConnection(),
  BackingOff: (bench) => bench.backingOff(),
  Connecting: (bench) => bench.connecting(),
  Handshaking: (bench) => bench.handshaking(),
  WaitingForHandshake: (bench) => bench.waiting(),
  Connected: (bench) => bench.connected(),
};
