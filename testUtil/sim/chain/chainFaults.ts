import { Phase } from '../engine/eventHeap.ts';
import { type LinkFaultClass, linkInflictions, pause } from '../run/linkFaults.ts';
import type { ChainFaultClass } from './chainFaultClasses.ts';
import type { ChainPlace } from './chainPlace.ts';
import type { ChainFault } from './chainPlan.ts';
import type { ChainStage } from './chainStage.ts';
import { Disk } from './disk.ts';

/** Does one fault. Returns false where there was nothing to do it to. */
type Inflict = (stage: ChainStage, fault: ChainFault, leaf: ChainPlace) => boolean;

/** How far a backup lies back at most. */
const MAX_AGE_MS = 12_000;
/** Who dies at a commit does so at one of the next so many. */
const MOST_COMMITS = 6;

/** A link of the chain, and the name under which its client dials. */
function onLink(kind: LinkFaultClass): Inflict {
  return (stage, fault, leaf) =>
    linkInflictions[kind](fault.isInner ? stage.inner : stage.outer, fault, fault.isInner ? stage.service : leaf);
}

function anyOf({ provider, service }: ChainStage, { isInner, dice: [a] }: ChainFault, leaf: ChainPlace): ChainPlace {
  if (!isInner) return leaf;
  return a < 0.5 ? service : provider;
}

function crash(placeOf: (stage: ChainStage, fault: ChainFault, leaf: ChainPlace) => ChainPlace): Inflict {
  return (stage, fault, leaf) => {
    const { dice } = fault;
    const place = placeOf(stage, fault, leaf);
    if (!stage.crash(place, dice[0] < 0.4)) return false;
    stage.startLater(place, dice[1] * dice[1] * 8_000);
    return true;
  };
}

/** Takes a backup now, at the time that the fault is planned for, and restores it some time later. */
function rollBack(kind: ChainFaultClass, placeOf: (stage: ChainStage, leaf: ChainPlace) => ChainPlace): Inflict {
  return (stage, { dice: [a, b, c] }, leaf) => {
    const place = placeOf(stage, leaf);
    const backup = new Disk(place.disk.image());
    backup.setRestored(true);
    stage.world.later(Math.min(a * MAX_AGE_MS, stage.inner.msUntilHealed), () => {
      if (!stage.crash(place, b < 0.4, backup.image())) return;
      stage.count(kind);
      stage.startLater(place, c * c * 8_000);
    });
    return false; // it happens when the backup is restored
  };
}

function departure(placeOf: (stage: ChainStage, leaf: ChainPlace) => ChainPlace): Inflict {
  return (stage, { dice: [a] }, leaf) => {
    const place = placeOf(stage, leaf);
    if (!stage.close(place)) return false;
    stage.startLater(place, 250 + a * 8_000);
    return true;
  };
}

const leafOf = (_stage: ChainStage, leaf: ChainPlace): ChainPlace => leaf;

/** What each class does. */
export const chainInflictions: Record<ChainFaultClass, Inflict> = {
  cut: onLink('cut'),
  lateClose: onLink('lateClose'),
  silent: onLink('silent'),
  halfOpen: onLink('halfOpen'),
  lateFrames: onLink('lateFrames'),
  slow: onLink('slow'),
  refused: onLink('refused'),
  hanging: onLink('hanging'),
  lateDial: onLink('lateDial'),
  overlap: onLink('overlap'),
  sendFails: onLink('sendFails'),
  // Counted where a validator takes its time.
  slowValidation: () => false,
  stall: (stage, fault, leaf) => {
    const [, b, c] = fault.dice;
    return pause(stage.inner, anyOf(stage, fault, leaf).host, 20 + b * b * 4_000, c < 0.2);
  },
  sleep: (stage, fault, leaf) => {
    const [, b, c] = fault.dice;
    return pause(stage.inner, anyOf(stage, fault, leaf).host, 3_000 + b * 12_000, c < 0.2);
  },
  leafCrash: crash((_stage, _fault, leaf) => leaf),
  serviceCrash: crash(({ service }) => service),
  providerCrash: crash(({ provider }) => provider),
  crashAtCommit: (stage, fault, leaf) => {
    const place = anyOf(stage, fault, leaf);
    if (place.host !== undefined) place.commitsLeft = 1 + Math.floor(fault.dice[1] * MOST_COMMITS);
    return false; // it happens at the commit
  },
  leafRollback: rollBack('leafRollback', leafOf),
  serviceRollback: rollBack('serviceRollback', ({ service }) => service),
  providerRollback: rollBack('providerRollback', ({ provider }) => provider),
  leafDeparture: departure(leafOf),
  serviceDeparture: departure(({ service }) => service),
  hardDisconnect: (stage, fault, leaf) => {
    const process = stage.processOf(anyOf(stage, fault, leaf));
    if (process === undefined) return false;
    const transports = [...process.clients, ...process.servers];
    const transport = transports[Math.floor(fault.dice[1] * transports.length)];
    if (transport === undefined || transport.sessions.size === 0) return false;
    process.host.schedule(stage.world.now, Phase.Timer, () => transport.hardDisconnect());
    return true;
  },
};
