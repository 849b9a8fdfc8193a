import type { Host } from '../engine/host.ts';
import type { Inflict } from './faults.ts';
import type { Stage } from './stage.ts';

/** How far a snapshot lies back at most. */
const MAX_AGE_MS = 12_000;

/** How many of its inputs a process had got when the snapshot was taken. */
function snapshotOf(host: Host, ageMs: number): number {
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
async function restore(stage: Stage, host: Host, ageMs: number): Promise<Host> {
  const copy = stage.newHost(host.name, host);
  host.kill();
  stage.network.disconnectAll(host, { prefix: 1, toldAfterMs: 1 });
  await copy.relive(host, snapshotOf(host, ageMs));
  const witness = stage.runningOf(copy)?.witness;
  if (witness !== undefined) stage.oracle.restored(witness);
  stage.world.note(copy.name, `goes on from its state of ${Math.round(ageMs)} ms ago`);
  return copy;
}

/** A client goes on from an earlier state. */
export const rollBackClient: Inflict = async (stage, { dice: [a] }, slot) => {
  const { host } = slot;
  if (host?.isAlive !== true || host.isPaused || (host.journal?.length ?? 0) === 0) return false;
  slot.host = await restore(stage, host, a * MAX_AGE_MS);
  return true;
};

/** The server does. */
export const rollBackServer: Inflict = async (stage, { dice: [a] }) => {
  const host = stage.server;
  if (host?.isAlive !== true || host.isPaused || (host.journal?.length ?? 0) === 0) return false;
  stage.server = await restore(stage, host, a * MAX_AGE_MS);
  stage.network.listener = stage.server;
  return true;
};
