import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { ClientTransport } from '../../transport/client.ts';
import type { Dial, DialCallbacks } from '../../transport/session/SessionConnecting.ts';
import { edgesInCode } from '../support/edgeTable.ts';
import { HeldConnection, Tale } from './stage.ts';
import { StillClock } from './stillClock.ts';

const kinds = [
  'connect',
  'endBackoff',
  'backoff elapses',
  'dial opens',
  'dial fails',
  'dial fails for good',
  'given up dial opens',
  'accepted',
  'mismatch',
  'rejected',
  'garbage',
  'handshake times out',
  'connection closes',
  'old connection closes',
  'a message is missing',
  'a message is impossible',
  'silence',
  'it held',
  'grace elapses',
  'something of the past',
  'hardDisconnect',
] as const;
type Kind = (typeof kinds)[number];
/** Later ones are rarer. */
const weights: Partial<Record<Kind, number>> = { connect: 3, 'backoff elapses': 8, 'dial opens': 8, accepted: 8 };

const answers = {
  accepted: (sessionId: string) => ({ ok: true, sessionId }),
  mismatch: () => ({ ok: false, code: 'SESSION_STATE_MISMATCH', reason: 'unknown' }),
  rejected: () => ({ ok: false, code: 'REJECTED_BY_CUSTOM_HANDLER', reason: 'no' }),
};

class ModelledClient extends ClientTransport {
  readonly dials: DialCallbacks[] = [];

  constructor() {
    super('client-1', {
      clock: new StillClock(),
      codec: JsonCodec,
      maxJitterMs: 0,
      extensions: { heartbeat: false, deadline: false, resume: false },
      isFatalConnectionError: (error) => error === 'for good',
    });
  }

  protected override dial(): Dial {
    return (callbacks) => {
      this.dials.push(callbacks);
      return () => undefined;
    };
  }
}

type State = 'BackingOff' | 'Connecting' | 'Handshaking' | 'Connected';

/** The reference: what a client of one server does, where time stands still and a failed dial is waited after. */
class Model {
  state: State | undefined;
  #wanted = false;
  #mustWait = false;
  #hasHeld = false;
  #wasConnected = false;

  /** What comes of an event, as lines of a {@link Tale}. */
  step(kind: Kind): string[] {
    switch (kind) {
      case 'connect':
        this.#wanted = true;
        return this.state === undefined ? this.#begin() : [];
      case 'endBackoff':
        this.#mustWait = false;
        if (this.state === 'BackingOff') return this.#go('Connecting');
        return this.state === undefined && this.#wanted ? this.#begin() : [];
      case 'backoff elapses':
        return this.state === 'BackingOff' ? this.#go('Connecting') : [];
      case 'dial opens':
        return this.state === 'Connecting' ? this.#go('Handshaking') : [];
      case 'dial fails':
        return this.state === 'Connecting' ? this.#fail() : [];
      case 'dial fails for good':
        return this.state === 'Connecting' ? ['SERVER NoConnection', ...this.#giveUp('retries_exceeded')] : [];
      case 'accepted':
        if (this.state !== 'Handshaking') return [];
        this.#hasHeld = false;
        this.#wasConnected = true;
        return this.#go('Connected');
      case 'mismatch':
        return this.state === 'Handshaking' ? this.#end('state_mismatch') : [];
      case 'rejected':
      case 'garbage':
        if (this.state !== 'Handshaking') return [];
        this.#mustWait = true;
        return this.#giveUp('handshake_rejected');
      case 'handshake times out':
        return this.state === 'Handshaking' ? this.#fail() : [];
      case 'connection closes':
        if (this.state === 'Handshaking') return this.#fail();
        return this.state === 'Connected' ? this.#drop() : [];
      case 'a message is missing':
      case 'silence':
        return this.state === 'Connected' ? this.#drop() : [];
      case 'a message is impossible':
        return this.state === 'Connected' ? this.#end('protocol_violation') : [];
      case 'it held':
        if (this.state === 'Connected') {
          this.#hasHeld = true;
        }
        return [];
      case 'grace elapses':
        return this.state === undefined || this.state === 'Connected' ? [] : this.#end('grace_elapsed');
      case 'hardDisconnect':
        return this.state === undefined ? [] : this.#end('closed_locally');
      case 'given up dial opens':
      case 'old connection closes':
      case 'something of the past':
        return [];
      default:
        return kind satisfies never;
    }
  }

  #go(state: State): string[] {
    this.state = state;
    return [`SERVER ${state}`];
  }

  #begin(): string[] {
    this.#wasConnected = false;
    return ['SERVER NoConnection', ...this.#pursue()];
  }

  #pursue(): string[] {
    return this.#mustWait ? this.#go('BackingOff') : [...this.#go('BackingOff'), ...this.#go('Connecting')];
  }

  #fail(): string[] {
    this.#mustWait = true;
    return ['SERVER NoConnection', ...this.#pursue()];
  }

  #drop(): string[] {
    this.#dropped();
    return ['SERVER NoConnection', ...this.#pursue()];
  }

  /** A connection that did not hold counts as a failed dial. */
  #dropped(): void {
    this.#mustWait = !this.#hasHeld;
  }

  #end(code: string): string[] {
    const { state } = this;
    this.state = undefined;
    // A server that has lost a session that worked is there, and has begun anew.
    if (code === 'state_mismatch') this.#mustWait = !this.#wasConnected;
    else if (code === 'protocol_violation') this.#mustWait = true;
    else if (state === 'Connected') this.#dropped();
    return [`SERVER ends: ${code}`];
  }

  #giveUp(code: string): string[] {
    this.state = undefined;
    this.#wanted = false;
    return [`SERVER ends: ${code}`];
  }
}

/** The client under test, with everything that can happen to it. */
class Bench {
  readonly client = new ModelledClient();
  readonly tale: Tale;
  readonly connections: HeldConnection[] = [];

  constructor(edges: Set<string>) {
    this.tale = new Tale(this.client, edges);
  }

  do(kind: Kind, dice: number): void {
    const session = this.client.sessions.get('SERVER');
    const owner = session?.core.env.owner;
    const current = this.connections.at(-1);
    switch (kind) {
      case 'connect':
        return this.client.connect('SERVER');
      case 'endBackoff':
        return this.client.endBackoff();
      case 'hardDisconnect':
        return this.client.hardDisconnect();
      case 'backoff elapses':
        if (session?.state === 'BackingOff') owner?.onBackoffElapsed(session);
        return;
      case 'dial opens':
        if (session?.state === 'Connecting') this.#open(this.client.dials.at(-1));
        return;
      case 'given up dial opens':
        return this.#openLate(
          session?.state === 'Connecting' ? this.client.dials.slice(0, -1) : this.client.dials,
          dice,
        );
      case 'dial fails':
      case 'dial fails for good':
        if (session?.state === 'Connecting')
          this.client.dials.at(-1)?.onError(kind === 'dial fails' ? 'refused' : 'for good');
        return;
      case 'accepted':
      case 'mismatch':
      case 'rejected':
        if (session?.state === 'Handshaking') this.#say(current, answers[kind](session.id));
        return;
      case 'garbage':
        if (session?.state === 'Handshaking') current?.hear(Uint8Array.of(1, 2, 3));
        return;
      case 'handshake times out':
        if (session?.state === 'Handshaking') owner?.onHandshakeTimeout(session);
        return;
      case 'connection closes':
        if (session?.state === 'Handshaking' || session?.state === 'Connected') current?.drop();
        return;
      case 'old connection closes':
        return this.connections
          .slice(0, -1)
          .at(-1 - Math.floor(dice * 3))
          ?.drop();
      case 'a message is missing':
        if (session?.state === 'Connected') this.#message(current, 7, 0);
        return;
      case 'a message is impossible':
        if (session?.state === 'Connected') this.#message(current, 0, 99);
        return;
      case 'silence':
        if (session?.state === 'Connected') owner?.onPeerSilent(session);
        return;
      case 'it held':
        if (session?.state === 'Connected') owner?.onSettled(session);
        return;
      case 'grace elapses':
        if (session !== undefined && session.state !== 'Connected') owner?.onGraceElapsed(session);
        return;
      case 'something of the past':
        return this.#past(dice);
      default:
        kind satisfies never;
    }
  }

  #open(dial: DialCallbacks | undefined): void {
    const connection = new HeldConnection();
    this.connections.push(connection);
    dial?.onOpen(connection);
  }

  /** A dial that is not the current one completes: its connection must be closed. */
  #openLate(dials: readonly DialCallbacks[], dice: number): void {
    const dial = dials[Math.floor(dice * dials.length)];
    if (dial === undefined) return;
    const connection = new HeldConnection();
    dial.onOpen(connection);
    expect(connection.isEnded).toBe(true);
  }

  #say(connection: HeldConnection | undefined, status: object): void {
    const payload = { type: 'HANDSHAKE_RESP', status };
    const header = { id: 'x', from: 'SERVER', to: 'client-1', seq: 0, ack: 0, streamId: 'h', controlFlags: 0 };
    connection?.hear(JsonCodec.toBuffer({ ...header, payload }));
  }

  #message(connection: HeldConnection | undefined, seq: number, ack: number): void {
    const header = { id: 'x', from: 'SERVER', to: 'client-1', seq, ack, streamId: 's', controlFlags: 0 };
    connection?.hear(JsonCodec.toBuffer({ ...header, payload: {} }));
  }

  /** Timers and connections of a state that was left report all the same. */
  #past(dice: number): void {
    const { stale } = this.tale;
    const session = stale[Math.floor(dice * stale.length)];
    const owner = this.client.sessions.get('SERVER')?.core.env.owner;
    if (session === undefined || owner === undefined) return;
    switch (session.state) {
      case 'NoConnection':
        return owner.onGraceElapsed(session);
      case 'BackingOff':
        owner.onGraceElapsed(session);
        return owner.onBackoffElapsed(session);
      case 'Connecting':
        owner.onGraceElapsed(session);
        return owner.onDialFailed(session, new Error('late'));
      case 'Handshaking':
        owner.onHandshakeTimeout(session);
        owner.onHandshakeFrame(session, Uint8Array.of(1));
        return owner.onConnectionClosed(session, undefined);
      case 'Connected':
        owner.onPeerSilent(session);
        owner.onGap(session, 'late');
        owner.onViolation(session, 'late');
        return owner.onConnectionClosed(session, undefined);
      default:
        session satisfies never;
    }
  }
}

const event = fc.record({
  kind: fc.oneof(...kinds.map((kind) => ({ weight: weights[kind] ?? 1, arbitrary: fc.constant(kind) }))),
  dice: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

test('whatever happens, a client goes where the model goes, along every edge and no other', () => {
  const edges = new Set<string>();
  fc.assert(
    fc.property(fc.array(event, { minLength: 20, maxLength: 80 }), (events) => {
      const bench = new Bench(edges);
      const model = new Model();
      const done: string[] = [];
      for (const { kind, dice } of events) {
        const expected = model.step(kind);
        bench.do(kind, dice);
        done.push(kind);
        bench.tale.expectNext(expected, done.slice(-12).join(', '));
        expect(bench.client.sessions.get('SERVER')?.state).toBe(model.state);
      }
      const open = model.state;
      bench.client.close();
      bench.tale.expectNext(open === undefined ? [] : ['SERVER ends: closed_locally'], 'close');
      for (const connection of bench.connections) expect(connection.isEnded).toBe(true);
    }),
    { numRuns: 1_500 },
  );
  expect([...edges].sort()).toEqual(edgesInCode('client'));
}, 60_000);
