import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import type { Connection } from '../../transport/connection.ts';
import { ServerTransport } from '../../transport/server.ts';
import { requestOf } from '../support/barePeer.ts';
import { edgesInCode, WAITING } from '../support/edgeTable.ts';
import { HeldConnection, isClosed, Tale } from './stage.ts';
import { StillClock } from './stillClock.ts';

const clients = ['A', 'B'] as const;
type ClientId = (typeof clients)[number];

const kinds = [
  'dial',
  'first frame',
  'garbage',
  'dialler leaves',
  'connection closes',
  'a message is missing',
  'a message is impossible',
  'silence',
  'grace elapses',
  'something of the past',
  'hardDisconnect',
] as const;
type Kind = (typeof kinds)[number];
const weights: Partial<Record<Kind, number>> = { dial: 6, 'first frame': 10 };

/** What a handshake says about the session it names: nothing counted, or numbers that cannot be. */
const claims = ['fresh', 'from the future', 'server in the future'] as const;

interface Event {
  readonly kind: Kind;
  readonly client: ClientId;
  readonly session: number;
  readonly claim: (typeof claims)[number];
  readonly dice: number;
}

class ModelledServer extends ServerTransport {
  constructor() {
    super('SERVER', {
      clock: new StillClock(),
      codec: JsonCodec,
      extensions: { heartbeat: false, deadline: false, resume: false },
    });
  }

  accept(connection: Connection): void {
    this.acceptConnection(connection);
  }
}

interface Known {
  readonly id: string;
  ordinal: number;
  state: 'Connected' | 'NoConnection';
}

/** The reference: what a server makes of dials, where nothing is ever counted and time stands still. */
class Model {
  readonly sessions = new Map<ClientId, Known>();
  /** Ordinals of connections that have not asked yet. */
  readonly pending: number[] = [];
  readonly edges = new Set<string>();
  #dials = 0;

  dial(): void {
    this.pending.push(this.#dials++);
  }

  /** Takes the pending connection that `dice` names. */
  take(dice: number): number | undefined {
    return this.pending.splice(Math.floor(dice * this.pending.length), 1)[0];
  }

  asks(
    ordinal: number,
    { client, session, claim }: Event,
  ): { lines: string[]; isRefused: boolean; isIgnored: boolean } {
    const id = `${client}${session}`;
    const known = this.sessions.get(client);
    const nothing = { lines: [], isRefused: false, isIgnored: false };
    const isSame = known?.id === id;
    if (isSame && ordinal <= known.ordinal) return { ...nothing, isIgnored: true };
    // Nothing was ever sent or received: whoever counts anything is out of step, whether or not its session is known.
    if (claim !== 'fresh') return { ...nothing, isRefused: true };
    if (known !== undefined && !isSame && ordinal <= known.ordinal) return { ...nothing, isIgnored: true };
    this.edges.add(`${WAITING} --> Connected`);
    if (!isSame) this.sessions.delete(client); // and comes last among them again
    this.sessions.set(client, { id, ordinal, state: 'Connected' });
    if (isSame) {
      this.edges.add(`${known.state} --> Connected`);
      return { ...nothing, lines: [`${client} Connected`] };
    }
    const replaced = known === undefined ? [] : [`${client} ends: peer_replaced`];
    return { ...nothing, lines: [...replaced, `${client} Connected`] };
  }

  drops({ client }: Event): string[] {
    const known = this.sessions.get(client);
    if (known?.state !== 'Connected') return [];
    known.state = 'NoConnection';
    return [`${client} NoConnection`];
  }

  ends({ client }: Event, code: string, from: Known['state']): string[] {
    if (this.sessions.get(client)?.state !== from) return [];
    this.sessions.delete(client);
    return [`${client} ends: ${code}`];
  }

  endAll(): string[] {
    const lines = [...this.sessions.keys()].map((client) => `${client} ends: closed_locally`);
    this.sessions.clear();
    return lines;
  }
}

/** The server under test, with everything that can happen to it. */
class Bench {
  readonly server = new ModelledServer();
  readonly tale: Tale;
  readonly pending: HeldConnection[] = [];
  readonly attached = new Map<ClientId, HeldConnection>();

  constructor(edges: Set<string>) {
    this.tale = new Tale(this.server, edges, WAITING);
  }

  dial(): void {
    const connection = new HeldConnection();
    this.pending.push(connection);
    this.server.accept(connection);
  }

  take(dice: number): HeldConnection | undefined {
    return this.pending.splice(Math.floor(dice * this.pending.length), 1)[0];
  }

  ask(connection: HeldConnection, { client, session, claim }: Event): void {
    const state = {
      fresh: { nextExpectedSeq: 0, nextSentSeq: 0 },
      'from the future': { nextExpectedSeq: 0, nextSentSeq: 3 },
      'server in the future': { nextExpectedSeq: 5, nextSentSeq: 0 },
    }[claim];
    connection.hear(JsonCodec.toBuffer(requestOf({ from: client, sessionId: `${client}${session}`, state })));
  }

  /** Something happens to the session of a client. */
  happen({ kind, client }: Event): void {
    const session = this.server.sessions.get(client);
    const owner = session?.core.env.owner;
    const message = (seq: number, ack: number): void => {
      const header = { id: 'x', from: client, to: 'SERVER', seq, ack, streamId: 's', controlFlags: 0 };
      this.attached.get(client)?.hear(JsonCodec.toBuffer({ ...header, payload: {} }));
    };
    if (session?.state === 'NoConnection' && kind === 'grace elapses') owner?.onGraceElapsed(session);
    if (session?.state !== 'Connected') return;
    if (kind === 'connection closes') this.attached.get(client)?.drop();
    if (kind === 'a message is missing') message(7, 0);
    if (kind === 'a message is impossible') message(0, 99);
    if (kind === 'silence') owner?.onPeerSilent(session);
  }

  past(dice: number): void {
    const { stale } = this.tale;
    const session = stale[Math.floor(dice * stale.length)];
    const [owner] = [...this.server.sessions.values()].map(({ core }) => core.env.owner);
    if (session === undefined || owner === undefined) return;
    if (session.state === 'NoConnection') owner.onGraceElapsed(session);
    if (session.state !== 'Connected') return;
    owner.onPeerSilent(session);
    owner.onGap(session, 'late');
    owner.onViolation(session, 'late');
    owner.onExpiryNear(session);
    owner.onRehandshakeOverdue(session);
    owner.onConnectionClosed(session, undefined);
  }
}

function step(bench: Bench, model: Model, event: Event): string[] {
  switch (event.kind) {
    case 'dial':
      bench.dial();
      model.dial();
      return [];
    case 'first frame': {
      const connection = bench.take(event.dice);
      const ordinal = model.take(event.dice);
      if (connection === undefined || ordinal === undefined) return [];
      const expected = model.asks(ordinal, event);
      const old = bench.attached.get(event.client);
      bench.ask(connection, event);
      const isAccepted = expected.lines.length > 0;
      expect([connection.isEnded, connection.sent.length]).toEqual([!isAccepted, expected.isIgnored ? 0 : 1]);
      if (isAccepted) {
        if (old !== undefined) expect(old.isEnded).toBe(true);
        bench.attached.set(event.client, connection);
      }
      return expected.lines;
    }
    case 'garbage':
    case 'dialler leaves': {
      const connection = bench.take(event.dice);
      model.take(event.dice);
      if (event.kind === 'garbage') connection?.hear(Uint8Array.of(1, 2, 3));
      else connection?.drop();
      if (event.kind === 'garbage' && connection !== undefined) expect(isClosed(connection)).toBe(true);
      return [];
    }
    case 'hardDisconnect':
      bench.server.hardDisconnect();
      return model.endAll();
    case 'something of the past':
      bench.past(event.dice);
      return [];
    case 'a message is impossible':
      bench.happen(event);
      return model.ends(event, 'protocol_violation', 'Connected');
    case 'grace elapses':
      bench.happen(event);
      return model.ends(event, 'grace_elapsed', 'NoConnection');
    case 'connection closes':
    case 'a message is missing':
    case 'silence':
      bench.happen(event);
      return model.drops(event);
    default:
      return event.kind satisfies never;
  }
}

const event: fc.Arbitrary<Event> = fc.record({
  kind: fc.oneof(...kinds.map((kind) => ({ weight: weights[kind] ?? 1, arbitrary: fc.constant(kind) }))),
  client: fc.constantFrom(...clients),
  session: fc.constantFrom(1, 1, 2),
  claim: fc.oneof(
    { weight: 8, arbitrary: fc.constant('fresh' as const) },
    { weight: 1, arbitrary: fc.constantFrom(...claims) },
  ),
  dice: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

test('whatever happens, a server goes where the model goes, along every edge and no other', () => {
  const told = new Set<string>();
  const modelled = new Set<string>();
  fc.assert(
    fc.property(fc.array(event, { minLength: 20, maxLength: 80 }), (events) => {
      const bench = new Bench(told);
      const model = new Model();
      const done: string[] = [];
      for (const next of events) {
        const expected = step(bench, model, next);
        done.push(`${next.kind} ${next.client}`);
        bench.tale.expectNext(expected, done.slice(-12).join(', '));
        const states = [...bench.server.sessions].map(([client, { id, state }]) => `${client} ${id} ${state}`);
        expect(states.sort()).toEqual([...model.sessions].map(([c, { id, state }]) => `${c} ${id} ${state}`).sort());
      }
      for (const edge of model.edges) modelled.add(edge);
      bench.server.close();
      bench.tale.expectNext(model.endAll(), 'close');
      for (const connection of [...bench.pending, ...bench.attached.values()]) expect(connection.isEnded).toBe(true);
      expect(bench.server.pendingHandshakes).toBe(0);
    }),
    { numRuns: 1_500 },
  );
  // A pending connection has no session and tells nothing: what it became is in what the session tells, and in the model.
  expect([...new Set([...told, ...modelled, '[*] --> WaitingForHandshake'])].sort()).toEqual(edgesInCode('server'));
}, 60_000);
