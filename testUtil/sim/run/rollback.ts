import type { Host } from '../engine/host.ts';
import type { Inflict } from './faults.ts';
import type { PlannedFault } from './plan.ts';
import type { Stage } from './stage.ts';

/** How far a snapshot lies back at most. */
const MAX_AGE_MS = 12_000;
/**
 * So many snapshots are taken just before the program sends something, and used just after that has arrived: often only
 * the other side knows of it then.
 */
const BEFORE_SEND = 0.7;
/** How long such a fault waits for a send, looking so often, and how long for the arrival. */
const MOST_LOOKS = 400;
const LOOK_MS = 10;
const ARRIVAL_MS = 150;
/** What is lost are at most so many sends: the copy sends again what was due, and more must be lost than that. */
const MOST_SENDS = 4;

/** How many of its inputs a process had got `ageMs` ago. */
function inputsUntil(host: Host, ageMs: number): number {
  const takenAt = host.world.now - ageMs;
  const journal = host.journal ?? [];
  let count = journal.length;
  while (count > 1 && (journal[count - 1]?.at ?? 0) > takenAt) count -= 1;
  return count;
}

/**
 * The machine of a process is restored from a snapshot: the process is gone, and a second image of its program, which has
 * lived through the same inputs up to the snapshot, goes on in its place.
 */
async function restore(stage: Stage, host: Host, count: number): Promise<Host> {
  const copy = stage.newHost(host.name, host);
  host.kill();
  stage.network.disconnectAll(host, { prefix: 1, toldAfterMs: 1 });
  await copy.relive(host, count);
  const witness = stage.runningOf(copy)?.witness;
  if (witness !== undefined) stage.oracle.restored(witness);
  const ageMs = stage.world.now - (host.journal?.[count - 1]?.at ?? 0);
  stage.world.note(copy.name, `goes on from its state of ${Math.round(ageMs)} ms ago`);
  return copy;
}

function canGoBack(host: Host | undefined): host is Host {
  return host?.isAlive === true && !host.isPaused && (host.journal?.length ?? 0) > 1;
}

/** Takes the process that `hostOf` names back to an earlier state, and hands the new one to `replace`. */
async function rollBack(
  stage: Stage,
  { kind, id, dice: [a, b, c] }: PlannedFault,
  hostOf: () => Host | undefined,
  replace: (copy: Host) => void,
): Promise<boolean> {
  const host = hostOf();
  if (!canGoBack(host)) return false;
  if (b >= BEFORE_SEND) {
    replace(await restore(stage, host, inputsUntil(host, a * MAX_AGE_MS)));
    return true;
  }
  const before = host.journal?.length ?? 0;
  const mostSends = 2 + Math.floor(c * MOST_SENDS);
  const goBack = async (count: number): Promise<void> => {
    if (host !== hostOf() || !canGoBack(host) || stage.msUntilHealed === 0) return;
    stage.counts[kind] += 1;
    stage.world.note('fault', `${kind} (${id}) on ${host.name}`);
    replace(await restore(stage, host, count));
  };
  const sends: number[] = [];
  let seen = before;
  const look = (looks: number): undefined => {
    const { journal = [] } = host;
    for (; seen < journal.length; seen++) if (journal[seen]?.hasSent === true) sends.push(seen);
    const [first] = sends;
    if (first !== undefined && sends.length >= mostSends) stage.world.later(a * ARRIVAL_MS, () => goBack(first));
    else if (looks < MOST_LOOKS) stage.world.later(LOOK_MS, () => look(looks + 1));
  };
  look(0);
  return false; // it happens when the program sends
}

/** A client goes on from an earlier state. */
export const rollBackClient: Inflict = (stage, fault, slot) =>
  rollBack(
    stage,
    fault,
    () => slot.host,
    (copy) => {
      slot.host = copy;
    },
  );

/** The server does. */
export const rollBackServer: Inflict = (stage, fault) =>
  rollBack(
    stage,
    fault,
    () => stage.server,
    (copy) => {
      stage.server = copy;
      stage.network.listener = copy;
    },
  );
