import type { Patch } from './plant.ts';

/** A bug that somebody could make, planted. */
export interface Mutant {
  readonly name: string;
  readonly patches: readonly Patch[];
  /** Less than the seed has: what never comes to rest takes long to watch. */
  readonly durationMs?: number;
  /** It breaks no invariant but that a seed is one run: each seed runs twice. */
  readonly isRandom?: boolean;
  /** Programs of a chain of three, which break by it; without it the simulator of sessions hunts. */
  readonly workload?: string;
}

const session = (state: string): string => `transport/session/Session${state}.ts`;
const ledger = 'transport/session/ledger.ts';
const core = 'transport/session/core.ts';
const room = 'transport/session/room.ts';
const reception = 'transport/session/reception.ts';
const receiving = 'transport/session/ReceivingHalf.ts';
const sending = 'transport/session/SendingHalf.ts';
const streamFlow = 'transport/session/streamFlow.ts';
const streamTable = 'transport/session/streamTable.ts';
const common = 'transport/session/common.ts';
const heartbeat = 'transport/session/heartbeat.ts';
const transitions = 'transport/session/transitions.ts';
const outbox = 'transport/session/outbox.ts';
const server = 'transport/server.ts';
const client = 'transport/client.ts';
const transport = 'transport/transport.ts';
const resume = 'transport/resume.ts';

/** Listeners of a connection that nobody takes off, and that are of whichever state carries the session by then. */
function staysAttached(onData: string, onClose: string): Patch {
  return {
    file: session('Connected'),
    find: 'connection.attach(this);',
    replace: `const current = (): any => core.sink ?? this;
      connection.attach({ onData: (frame) => ${onData}, onClose: (error: unknown) => ${onClose} });`,
  };
}
/** A connection that delivers what was buffered, and tells of its end, after it was closed. */
const deliversLate: readonly Patch[] = [
  {
    file: 'transport/connection.ts',
    find: 'this.#receiver = undefined;\n    this.#early = undefined;\n    if (this.#ended) return false;',
    replace: 'this.#early = undefined;\n    if (this.#ended) return false;',
  },
  {
    file: 'transport/connection.ts',
    find: 'if (this.#ended) return;\n    if (this.#early !== undefined)',
    replace: 'if (this.#early !== undefined)',
  },
  {
    file: 'transport/connection.ts',
    find: 'if (this.#ended) return;\n    this.#ended = true;\n    this.#error ??= error;',
    replace: 'this.#ended = true;\n    this.#error ??= error;',
  },
];

/** Verdicts, that of silence among them, that do not wait until what has arrived was read. */
const judgesAtOnce: Patch = {
  file: 'transport/session/verdictQueue.ts',
  find: 'this.#cancelTurn = this.#clock.afterIo(this.#turn);',
  replace: 'this.#cancelTurn = this.#clock.after(0, this.#turn);',
};

/** Every bug that a session layer is known for, then others of this one. */
export const mutants: readonly Mutant[] = [
  {
    name: 'acknowledge off by one',
    patches: [
      {
        file: ledger,
        find: 'return this.#ack;\n  }\n\n  /** Frames not confirmed. */',
        replace: 'return this.#ack + 1;\n  }\n',
      },
    ],
  },
  {
    name: 'no resend after reconnect',
    patches: [
      {
        file: sending,
        find: 'this.#nextSeq = core.ledger.oldestUnackedSeq;',
        replace: 'this.#nextSeq = core.transmittedSeq;',
      },
    ],
  },
  {
    name: 'resend from the last sent instead of the first unacknowledged',
    patches: [
      {
        file: sending,
        find: 'this.#nextSeq = core.ledger.oldestUnackedSeq;',
        replace: 'this.#nextSeq = Math.max(core.ledger.oldestUnackedSeq, core.ledger.nextSeq - 1);',
      },
    ],
  },
  {
    name: 'a seq gap accepted',
    patches: [
      {
        file: ledger,
        find: "return seq < this.#ack ? 'duplicate' : 'gap';",
        replace: "return seq < this.#ack ? 'duplicate' : 'next';",
      },
    ],
  },
  {
    name: 'no duplicate check',
    patches: [
      {
        file: ledger,
        find: "return seq < this.#ack ? 'duplicate' : 'gap';",
        replace: "return seq < this.#ack ? 'next' : 'gap';",
      },
      {
        file: receiving,
        find: 'while (reader.hasMore && reader.nextSeq < ledger.ack) {',
        replace: 'while (false) {',
      },
    ],
  },
  {
    name: 'buffer cleared on drop',
    patches: [
      {
        file: transport,
        find: 'session.core.startGrace();',
        replace: 'session.core.startGrace(); session.core.ledger.confirm(session.core.ledger.nextSeq);',
      },
    ],
  },
  {
    name: 'application frames during a handshake',
    patches: [
      {
        file: session('Handshaking'),
        find: 'if (!this._isConsumed) this.#construct();',
        replace:
          'const { ledger } = this.core;\nfor (let seq = ledger.oldestUnackedSeq; seq < ledger.nextSeq; seq++) this.connection.send(ledger.frameAt(seq)!);\nif (!this._isConsumed) this.#construct();',
      },
    ],
  },
  {
    name: 'grace timer not cleared',
    patches: [
      {
        file: session('NoConnection'),
        find: 'this.own(startGrace(this.core, this.handle));',
        replace: 'startGrace(this.core, this.handle);',
      },
    ],
  },
  {
    name: 'grace restarted by every retry',
    patches: [
      { file: common, find: 'core.graceDeadline - env.clock.now()', replace: 'env.options.sessionDisconnectGraceMs' },
    ],
  },
  {
    name: 'unknown session accepted',
    patches: [
      { file: resume, find: 'if (!isFresh || request.resume?.everConnected === true) {', replace: 'if (false) {' },
    ],
  },
  {
    name: 'hard reconnect keeps the old session',
    patches: [
      {
        file: server,
        find: 'if (replaced !== undefined) this.#replace(replaced);',
        replace: '',
      },
    ],
  },
  {
    name: 'old connection’s data accepted',
    patches: [
      ...deliversLate,
      staysAttached('core.env.queue.post(current(), receive, frame)', 'this._isConsumed || this.onClose(error)'),
    ],
  },
  {
    name: 'old connection’s close kills the new one',
    patches: [
      ...deliversLate,
      staysAttached(
        'this._isConsumed || this.onData(frame)',
        'core.env.owner.onConnectionClosed(current().handle, error)',
      ),
    ],
  },
  {
    name: 'no client liveness',
    patches: [{ file: heartbeat, find: 'return true;', replace: 'return false;' }],
  },
  {
    name: 'no server liveness',
    patches: [{ file: heartbeat, find: 'return this.#beatLeft;', replace: 'return false;' }],
  },
  {
    name: 'heartbeat answered by both sides',
    durationMs: 2_000,
    patches: [
      {
        file: receiving,
        find: "if (this.role === 'client') this.sendAckMessage();",
        replace: 'this.sendAckMessage();',
      },
      // Compact: whatever comes is answered.
      {
        file: receiving,
        find: "if ((reader.flags & FrameFlags.WantReply) !== 0 && this.role === 'client') this.#answerBeat();",
        replace: 'this.acknowledge();',
      },
    ],
  },
  {
    name: 'never trims',
    patches: [{ file: ledger, find: 'if (ack <= this.#oldest) return false;', replace: 'return false;' }],
  },
  {
    name: 'no connect timeout',
    patches: [
      {
        file: session('Connecting'),
        find: 'clock.after(options.connectionTimeoutMs, () =>',
        replace: 'clock.after(1e9, () =>',
      },
    ],
  },
  {
    name: 'a late dial leaks',
    patches: [
      {
        file: session('Connecting'),
        find: 'if (this._isConsumed || this.#settled) return connection.close();',
        replace: 'if (this._isConsumed || this.#settled) return;',
      },
    ],
  },
  {
    name: 'calls not told of the end',
    patches: [
      {
        file: core,
        find: 'for (const receiver of receivers) this.#tellEnd(receiver, end);',
        replace: '',
      },
    ],
  },
  {
    name: 'calls told twice',
    patches: [
      {
        file: core,
        find: 'for (const receiver of receivers) this.#tellEnd(receiver, end);',
        replace: 'for (const receiver of [...receivers, ...receivers]) this.#tellEnd(receiver, end);',
      },
    ],
  },
  {
    name: 'a session looked up before an asynchronous validation',
    patches: [
      {
        file: server,
        find: 'const old = this.sessions.get(this.#index.keyOf(message.from, request.sessionId))?.core;',
        replace:
          'const looked = this.sessions.get(this.#index.keyOf(message.from, request.sessionId)); const old = looked?.core; (asked as any).looked = looked;',
      },
      {
        file: server,
        find: 'const current = this.sessions.get(this.#index.keyOf(message.from, request.sessionId)) ?? stranger;',
        replace: 'const current = (asked as any).looked ?? stranger;',
      },
    ],
  },
  {
    name: 'no ordinal on connections',
    patches: [{ file: transitions, find: 'core.attachedOrdinal = ordinal;', replace: '' }],
  },
  {
    name: 'liveness judged by elapsed time',
    patches: [
      {
        file: heartbeat,
        find: 'if (!this.#heard && !late && this.expectsAnswer) this.#misses += 1;',
        replace: 'if (!this.#heard && this.expectsAnswer) this.#misses += 1 + Math.floor(lateMs / this.periodMs);',
      },
      judgesAtOnce,
    ],
  },
  {
    name: 'real randomness in the backoff',
    isRandom: true,
    patches: [
      {
        file: 'transport/retryBudget.ts',
        find: 'return backoff + this.#random() * maxJitterMs;',
        replace: 'return backoff + Math.random() * maxJitterMs;',
      },
    ],
  },
  {
    name: 'no server instance in the handshake',
    patches: [
      {
        file: resume,
        find: 'if (request.resume?.instance !== undefined && request.resume.instance !== instance) {',
        replace: 'if (false) {',
      },
      // That the client was connected before says as much, where nothing was counted yet.
      { file: resume, find: 'if (!isFresh || request.resume?.everConnected === true) {', replace: 'if (!isFresh) {' },
      {
        file: 'transport/extensions.ts',
        find: 'a.resume?.instance === b.resume?.instance',
        replace: 'true',
      },
    ],
  },
  {
    name: 'credit as increments',
    patches: [
      {
        file: streamTable,
        find: '[...due].map(({ number, granted }) => ({ stream: number, limit: granted }))',
        replace:
          '[...due].map((flow: any) => { const limit = flow.granted - (flow.told ?? this.#window); flow.told = flow.granted; return { stream: flow.number, limit }; })',
      },
      {
        file: streamFlow,
        find: 'if (this.#limit === undefined || limit <= this.#limit) return false;\n    this.#limit = limit;',
        replace: 'this.#limit = (this.#limit ?? 0) + limit;',
      },
    ],
  },
  // Others.
  {
    name: 'limits are not told again on a new connection',
    patches: [{ file: session('Connected'), find: 'core.repeatCredits();', replace: '' }],
  },
  {
    name: 'a writer without credit writes on',
    patches: [
      {
        file: streamFlow,
        find: '(cost > 0 && this.#isAtLimit)) return false;',
        replace: 'false) return false;',
      },
    ],
  },
  {
    name: 'the peer is allowed more for what nobody has read',
    patches: [
      {
        file: reception,
        find: 'if (message.isHeld === true) this.countAs(this.counted + held);',
        replace: 'if (message.isHeld === true) flow.consume(cost, 1e9) && this.streams?.consumed(flow, 0, 1e9);',
      },
    ],
  },
  {
    name: 'what waits for credit is forgotten when its call ends',
    patches: [{ file: streamTable, find: 'if (!flow.isDraining) this.discard(flow);', replace: 'this.discard(flow);' }],
  },
  {
    name: 'what comes after a message that waits overtakes it',
    patches: [{ file: streamFlow, find: 'if (this.#waiting !== undefined || (cost', replace: 'if ((cost' }],
  },
  {
    name: 'a client that lost messages is believed',
    patches: [
      { file: resume, find: 'if (old.ack > resume.nextSeq) {', replace: 'if (false) {' },
      { file: 'transport/answer.ts', find: 'answer.nextExpectedSeq <= ledger.nextSeq', replace: 'true' },
      {
        file: client,
        find: 'core.confirm(extensions.resume.nextExpectedSeq);',
        replace: 'core.confirm(Math.min(extensions.resume.nextExpectedSeq, core.ledger.nextSeq));',
      },
    ],
  },
  {
    name: 'a server that lost messages does not notice',
    patches: [
      { file: resume, find: 'if (nextExpectedSeq > old.nextSeq) {', replace: 'if (false) {' },
      { file: 'transport/answer.ts', find: 'ledger.ack <= answer.nextSeq', replace: 'true' },
      {
        file: server,
        find: 'core.confirm(request.expectedSessionState.nextExpectedSeq);',
        replace: 'core.confirm(Math.min(request.expectedSessionState.nextExpectedSeq, core.ledger.nextSeq));',
      },
    ],
  },
  {
    name: 'a client from the future is believed',
    patches: [
      { file: resume, find: 'if (nextSentSeq > old.ack) {', replace: 'if (false) {' },
      { file: 'transport/answer.ts', find: 'ledger.oldestUnackedSeq <= answer.nextExpectedSeq', replace: 'true' },
    ],
  },
  {
    name: 'the verdict of silence does not wait for what has arrived',
    patches: [judgesAtOnce],
  },
  {
    name: 'no handshake timeout on the client',
    patches: [
      {
        file: session('Handshaking'),
        find: 'clock.after(options.handshakeTimeoutMs, () =>',
        replace: 'clock.after(1e9, () =>',
      },
    ],
  },
  {
    name: 'no handshake timeout on the server',
    patches: [
      {
        file: session('WaitingForHandshake'),
        find: 'verdictAfter(this.#env, options.handshakeTimeoutMs,',
        replace: 'verdictAfter(this.#env, 1e9,',
      },
    ],
  },
  {
    name: 'the client does not answer heartbeats',
    patches: [
      { file: receiving, find: "if (this.role === 'client') this.sendAckMessage();", replace: '' },
      {
        file: receiving,
        find: "if ((reader.flags & FrameFlags.WantReply) !== 0 && this.role === 'client') this.#answerBeat();",
        replace: '',
      },
    ],
  },
  {
    name: 'backoff without a ceiling',
    patches: [
      {
        file: 'transport/retryBudget.ts',
        find: 'Math.min(maxBackoffMs, baseIntervalMs * 2 ** Math.min(this.#failures - 1, 31))',
        replace: 'baseIntervalMs * 2 ** Math.min(this.#failures - 1, 31)',
      },
    ],
  },
  {
    name: 'the client gives up after three failures',
    patches: [
      {
        file: 'transport/retryBudget.ts',
        find: 'return this.#failures < this.#options.attemptBudgetCapacity;',
        replace: 'return this.#failures < 3;',
      },
    ],
  },
  {
    name: 'what waited for the first answer is sent in another order',
    patches: [
      {
        file: outbox,
        find: 'const waiting = this.#waiting.filter(({ isRemoved }) => !isRemoved);',
        replace: 'const waiting = this.#waiting.reverse();',
      },
    ],
  },
  {
    name: 'what waited for the first answer is forgotten',
    patches: [
      {
        file: outbox,
        find: 'const waiting = this.#waiting.filter(({ isRemoved }) => !isRemoved);',
        replace: 'const waiting: Waiting[] = [];',
      },
    ],
  },
  {
    name: 'the server trims one message too many at a reconnect',
    patches: [
      {
        file: server,
        find: 'core.confirm(request.expectedSessionState.nextExpectedSeq);',
        replace: 'core.confirm(Math.min(request.expectedSessionState.nextExpectedSeq + 1, core.ledger.nextSeq));',
      },
    ],
  },
  {
    name: 'an ended session stays in the map',
    patches: [
      { file: transport, find: 'if (this.#sessions.get(key) === session) this.#sessions.delete(key);', replace: '' },
    ],
  },
  {
    name: 'a state that was left is not consumed',
    patches: [
      {
        file: common,
        find: 'this.#consumed = true;\n    this.#scope?.end();',
        replace: 'this.#scope?.end();',
      },
    ],
  },
  {
    name: 'timers of a state that was left go on',
    patches: [
      {
        file: common,
        find: 'this.#consumed = true;\n    this.#scope?.end();\n    this.onExit();',
        replace: 'this.#consumed = true;',
      },
    ],
  },
  {
    name: 'buffers without a bound',
    patches: [
      {
        file: room,
        find: 'if (bytes > more) {',
        replace: 'if (bytes > more + 1e9) {',
      },
    ],
  },
  {
    name: 'a connection that is replaced stays open',
    patches: [
      {
        file: transitions,
        find: '  connection.terminate();\n  return attach(pending, core, answer);',
        replace: '  return attach(pending, core, answer);',
      },
    ],
  },
  {
    name: 'a connection that is given up stays open',
    patches: [
      {
        file: transitions,
        find: 'const core = old.release();\n  connection.close();\n  return new SessionNoConnection(core).handle;',
        replace: 'const core = old.release();\n  return new SessionNoConnection(core).handle;',
      },
    ],
  },
  {
    name: 'a session that ended begins no other',
    patches: [
      { file: client, find: 'intent.redialLater(() => this.queue.run(() => this.#pursue(intent)));', replace: '' },
    ],
  },
  {
    name: 'grace is not counted on the server',
    patches: [
      {
        file: common,
        find: 'return verdictAfter(env, core.graceDeadline - env.clock.now(), () => env.owner.onGraceElapsed(session));',
        replace:
          'if (core.attachedOrdinal >= 0) return () => undefined;\n  return verdictAfter(env, core.graceDeadline - env.clock.now(), () => env.owner.onGraceElapsed(session));',
      },
    ],
  },
];
