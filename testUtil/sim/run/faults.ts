import type { Host } from '../engine/host.ts';
import type { DialFate } from '../engine/network.ts';
import type { Pipe } from '../engine/pipe.ts';
import type { FaultClass } from './faultClasses.ts';
import type { PlannedFault } from './plan.ts';
import type { ClientSlot, Stage } from './stage.ts';

/** Does one fault. Returns false where there was nothing to do it to. */
export type Inflict = (stage: Stage, fault: PlannedFault, slot: ClientSlot) => boolean | Promise<boolean>;

const NEVER = Number.POSITIVE_INFINITY;

/** The connection a client uses now. */
function pipeOf(stage: Stage, slot: ClientSlot): Pipe | undefined {
  return stage.network.openPipesOf(slot.name).at(-1);
}

function onPipe(inflict: (pipe: Pipe, fault: PlannedFault, stage: Stage) => void): Inflict {
  return (stage, fault, slot) => {
    const pipe = pipeOf(stage, slot);
    if (pipe === undefined) return false;
    inflict(pipe, fault, stage);
    return true;
  };
}

/**
 * Blocks one direction, or the other, for a while.
 * @param stallMs how long the other side does nothing at its end: what comes at last waits unread while timers fall due
 */
function block(pipe: Pipe, toServer: boolean, ms: number, stage: Stage, stallMs = 0): void {
  const side = toServer ? pipe.client : pipe.server;
  side.block();
  stage.world.later(ms, () => {
    if (stallMs > 0) pause(stage, side.peer, stallMs, false);
    side.unblock();
    return undefined;
  });
}

/** Decides about the next dial, and sees to it that there is one. */
function onDial(fateOf: (fault: PlannedFault, stage: Stage) => DialFate): Inflict {
  return (stage, fault, slot) => {
    stage.network.addFate(slot.name, fateOf(fault, stage));
    const side = { prefix: fault.dice[2], toldAfterMs: 0 };
    pipeOf(stage, slot)?.cut(side, side);
    return false; // it happens when the client dials
  };
}

/** The time a side needs to notice that the other is silent. */
function noticeMs({ plan: { options } }: Stage): number {
  return options.heartbeatIntervalMs * (options.heartbeatsUntilDead + 3);
}

/** A process is gone without a word; its peers are told by the system, or by nobody. */
export function crash(stage: Stage, host: Host, isSilent: boolean): void {
  host.kill();
  stage.world.note(host.name, 'crashes');
  stage.network.disconnectAll(host, { prefix: 1, toldAfterMs: isSilent ? NEVER : 1 });
}

function restartLater(stage: Stage, slot: ClientSlot, ms: number): void {
  stage.world.later(ms, () => {
    if (slot.host === undefined) slot.host = stage.startClient(slot.name);
    return undefined;
  });
}

/** Pauses end when the faults do. */
function pause(stage: Stage, host: Host | undefined, ms: number, readsFirst: boolean): boolean {
  if (host?.isAlive !== true || host.isPaused) return false;
  host.pause(Math.min(ms, stage.msUntilHealed), readsFirst);
  stage.world.note(host.name, `does nothing for ${ms} ms`);
  return true;
}

/** What each class does. */
export const inflictions: Record<Exclude<FaultClass, 'clientRollback' | 'serverRollback' | 'liar'>, Inflict> = {
  cut: onPipe((pipe, { dice: [a, b, c, d] }) =>
    pipe.cut({ prefix: a, toldAfterMs: c * 50 }, { prefix: b, toldAfterMs: d * 50 }),
  ),
  lateClose: onPipe((pipe, { dice: [a, b, c, d] }) =>
    pipe.cut({ prefix: a, toldAfterMs: c < 0.7 ? c * 6_000 : 0 }, { prefix: b, toldAfterMs: d < 0.7 ? d * 6_000 : 0 }),
  ),
  silent: onPipe((pipe, { dice: [a, b] }) =>
    pipe.cut({ prefix: a, toldAfterMs: NEVER }, { prefix: b, toldAfterMs: NEVER }),
  ),
  halfOpen: onPipe((pipe, { dice: [a, b, c] }, stage) => {
    const stallMs = c < 0.5 ? c * stage.plan.options.heartbeatIntervalMs : 0;
    block(pipe, a < 0.5, b * noticeMs(stage), stage, stallMs);
  }),
  lateFrames: (stage, { dice: [a, b] }, slot) => {
    const pipe = pipeOf(stage, slot);
    if (pipe !== undefined) block(pipe, a < 0.5, (1 + b) * noticeMs(stage), stage);
    return false; // it happens when a frame comes to a connection that was closed
  },
  slow: onPipe((pipe, { dice: [a, b] }, stage) => {
    pipe.slowMs = a * a * 3_000;
    pipe.slowUntil = stage.world.now + b * 8_000;
  }),
  stall: (stage, { dice: [a, b, c] }, slot) =>
    pause(stage, a < 0.5 ? stage.server : slot.host, 20 + b * b * 4_000, c < 0.2),
  sleep: (stage, { dice: [a, b, c] }, slot) =>
    pause(stage, a < 0.15 ? stage.server : slot.host, 3_000 + b * (a < 0.15 ? 6_000 : 40_000), c < 0.2),
  refused: onDial(({ dice: [a] }) => ({ kind: 'refused', afterMs: a * 20 })),
  hanging: onDial(() => ({ kind: 'hangs' })),
  lateDial: onDial(({ dice: [a] }, { plan }) => ({
    kind: 'late',
    afterMs: plan.options.connectionTimeoutMs * (0.7 + a * 2),
  })),
  overlap: onDial(({ dice: [a] }, { plan }) => ({
    kind: 'held',
    forMs: plan.options.handshakeTimeoutMs * (0.8 + a * 2),
  })),
  sendFails: onPipe((pipe, { dice: [a, b, c] }, stage) => {
    (a < 0.5 ? pipe.client : pipe.server).failsSends = true;
    stage.world.later(
      c * 800,
      () => pipe.cut({ prefix: b, toldAfterMs: 0 }, { prefix: b, toldAfterMs: 0 }) as undefined,
    );
  }),
  // Counted where a validator takes its time.
  slowValidation: () => false,
  crash: (stage, { dice: [a, b] }, slot) => {
    if (slot.host === undefined) return false;
    crash(stage, slot.host, a < 0.5);
    slot.host = undefined;
    restartLater(stage, slot, b * b * 8_000);
    return true;
  },
  departure: (stage, { dice: [a] }, slot) => {
    if (slot.host === undefined) return false;
    stage.close(slot.host);
    slot.host = undefined;
    restartLater(stage, slot, a * 10_000);
    return true;
  },
  twin: (stage, { dice: [a] }, slot) => {
    const twin = stage.startClient(slot.name);
    stage.world.later(Math.min(500 + a * 8_000, stage.msUntilHealed), () => stage.close(twin) as undefined);
    return true;
  },
  serverCrash: (stage, { dice: [a, b] }) => {
    const { server } = stage;
    if (server === undefined) return false;
    crash(stage, server, a < 0.3);
    stage.server = undefined;
    stage.network.listener = undefined;
    stage.world.later(b * b * 5_000, () => {
      if (stage.server === undefined) stage.startServer();
      return undefined;
    });
    return true;
  },
  hardDisconnect: (stage, _fault, slot) => stage.endSessions(slot.host),
};
