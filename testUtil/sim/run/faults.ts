import type { Host } from '../engine/host.ts';
import type { FaultClass } from './faultClasses.ts';
import { linkInflictions, NEVER, pause } from './linkFaults.ts';
import type { PlannedFault } from './plan.ts';
import type { ClientSlot, Stage } from './stage.ts';

/** Does one fault. Returns false where there was nothing to do it to. */
export type Inflict = (stage: Stage, fault: PlannedFault, slot: ClientSlot) => boolean | Promise<boolean>;

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

/** What each class does. */
export const inflictions: Record<Exclude<FaultClass, 'clientRollback' | 'serverRollback' | 'liar'>, Inflict> = {
  ...linkInflictions,
  stall: (stage, { dice: [a, b, c] }, slot) =>
    pause(stage, a < 0.5 ? stage.server : slot.host, 20 + b * b * 4_000, c < 0.2),
  sleep: (stage, { dice: [a, b, c] }, slot) =>
    pause(stage, a < 0.15 ? stage.server : slot.host, 3_000 + b * (a < 0.15 ? 6_000 : 40_000), c < 0.2),
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
