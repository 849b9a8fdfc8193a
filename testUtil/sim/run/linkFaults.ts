import type { Host } from '../engine/host.ts';
import type { DialFate, Network } from '../engine/network.ts';
import type { Pipe } from '../engine/pipe.ts';
import type { World } from '../engine/world.ts';
import type { PlannedOptions } from './plan.ts';

/** What a fault of a link is done to: one network, and the run it is part of. */
export interface LinkStage {
  readonly world: World;
  readonly network: Network;
  readonly plan: { readonly options: PlannedOptions };
  /** Milliseconds that faults may still last. */
  readonly msUntilHealed: number;
}

/** What decides about one fault of a link: four numbers in [0, 1). */
export interface LinkDice {
  readonly dice: readonly [number, number, number, number];
}

/** Whose connection it is, by the name that it dials under. */
export interface LinkSlot {
  readonly name: string;
}

/** Does one fault. Returns false where there was nothing to do it to. */
export type InflictLink = (stage: LinkStage, fault: LinkDice, slot: LinkSlot) => boolean;

/** Classes of faults of a link. */
export type LinkFaultClass =
  | 'cut'
  | 'lateClose'
  | 'silent'
  | 'halfOpen'
  | 'lateFrames'
  | 'slow'
  | 'refused'
  | 'hanging'
  | 'lateDial'
  | 'overlap'
  | 'sendFails';

/** What is counted where a dial meets it. */
export const dialFaults = { refused: 'refused', hangs: 'hanging', late: 'lateDial', held: 'overlap' } as const;

/** Nobody is ever told. */
export const NEVER = Number.POSITIVE_INFINITY;

/** The connection a client uses now. */
function pipeOf(stage: LinkStage, slot: LinkSlot): Pipe | undefined {
  return stage.network.openPipesOf(slot.name).at(-1);
}

function onPipe(inflict: (pipe: Pipe, fault: LinkDice, stage: LinkStage) => void): InflictLink {
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
function block(pipe: Pipe, toServer: boolean, ms: number, stage: LinkStage, stallMs = 0): void {
  const side = toServer ? pipe.client : pipe.server;
  side.block();
  stage.world.later(ms, () => {
    if (stallMs > 0) pause(stage, side.peer, stallMs, false);
    side.unblock();
    return undefined;
  });
}

/** Decides about the next dial, and sees to it that there is one. */
function onDial(fateOf: (fault: LinkDice, stage: LinkStage) => DialFate): InflictLink {
  return (stage, fault, slot) => {
    stage.network.addFate(slot.name, fateOf(fault, stage));
    const side = { prefix: fault.dice[2], toldAfterMs: 0 };
    pipeOf(stage, slot)?.cut(side, side);
    return false; // it happens when the client dials
  };
}

/** The time a side needs to notice that the other is silent. */
function noticeMs({ plan: { options } }: LinkStage): number {
  return options.heartbeatIntervalMs * (options.heartbeatsUntilDead + 3);
}

/** Pauses end when the faults do. */
export function pause(stage: LinkStage, host: Host | undefined, ms: number, readsFirst: boolean): boolean {
  if (host?.isAlive !== true || host.isPaused) return false;
  host.pause(Math.min(ms, stage.msUntilHealed), readsFirst);
  stage.world.note(host.name, `does nothing for ${ms} ms`);
  return true;
}

/** What each class does. */
export const linkInflictions: Record<LinkFaultClass, InflictLink> = {
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
};
