import { Phase } from '../engine/eventHeap.ts';
import { Trace, type TraceLine } from '../engine/trace.ts';
import { type Violation, World } from '../engine/world.ts';
import { dialFaults } from '../run/linkFaults.ts';
import type { ChainFaultClass } from './chainFaultClasses.ts';
import { chainInflictions } from './chainFaults.ts';
import { type ChainFault, type ChainPlan, chainSettleMs } from './chainPlan.ts';
import { ChainStage } from './chainStage.ts';
import type { ChainWorkload } from './chainWorkload.ts';

/** Longer than a close takes, and what it sets off elsewhere. */
const CLOSE_MS = 3_000;
/** Programs of a chain go through more promises for each message than those of one session. */
const MORE_TURNS = 100;

/** How to run a plan. */
export interface ChainSettings {
  /** Keep a readable trace. */
  readonly trace?: boolean | undefined;
  /** Turns of the microtask queue after each event, besides those that are enough. */
  readonly moreTurns?: number | undefined;
}

/** What came of a run. */
export interface ChainOutcome {
  readonly plan: ChainPlan;
  readonly workload: string;
  /** What did not hold, if anything. */
  readonly violation: Violation | undefined;
  /** Equal for two runs if they were the same run. */
  readonly hash: string;
  readonly trace: readonly TraceLine[];
  readonly faults: Readonly<Record<ChainFaultClass, number>>;
  /** What the programs counted. */
  readonly deeds: ReadonlyMap<string, number>;
  /** Virtual milliseconds. */
  readonly simulatedMs: number;
  readonly events: number;
}

function schedule(stage: ChainStage, fault: ChainFault): void {
  const { world, leaves, counts } = stage;
  world.schedule(world.now + fault.at, Phase.World, undefined, () => {
    const leaf = leaves[fault.client];
    if (leaf === undefined || !chainInflictions[fault.kind](stage, fault, leaf)) return undefined;
    counts[fault.kind] += 1;
    const where = fault.isInner ? 'the inner part' : leaf.name;
    world.note('fault', `${fault.kind} (${fault.id}) on ${where}`);
    return undefined;
  });
}

function setUp(stage: ChainStage): void {
  for (const { network } of [stage.inner, stage.outer]) network.onFate = ({ kind }) => stage.count(dialFaults[kind]);
  for (const place of stage.places) stage.start(place);
  for (const fault of stage.plan.faults) schedule(stage, fault);
}

/** Ends every fault: what was held up goes on, whoever was away is back. */
function heal(stage: ChainStage): void {
  if (stage.world.violation !== undefined) return;
  stage.isBusy = false;
  stage.inner.network.heal();
  stage.outer.network.heal();
  for (const place of stage.places) {
    place.commitsLeft = Number.POSITIVE_INFINITY;
    stage.start(place);
  }
  stage.world.note('fault', 'every fault is over');
}

function expectSettled(stage: ChainStage): void {
  const { world, places } = stage;
  if (world.violation !== undefined) return;
  for (const place of places) {
    const unfinished = stage.processOf(place)?.program.unfinished?.();
    if (unfinished !== undefined) world.fail('2', `${place.name}: ${unfinished}`);
  }
  if (world.violation === undefined) stage.run.expectSettled?.();
}

/** Closes everybody, from the end of the chain on; each must leave nothing behind. */
async function closeAll(stage: ChainStage): Promise<void> {
  const { world, leaves, service, provider } = stage;
  if (world.violation !== undefined) return;
  stage.isOver = true;
  for (const places of [leaves, [service], [provider]]) {
    for (const place of places) stage.close(place);
    await world.runUntil(world.now + CLOSE_MS);
  }
  for (const { network } of [stage.inner, stage.outer])
    for (const pipe of network.pipes)
      if (!pipe.isCut) world.fail('9', `a connection of ${pipe.client.host.name} was never closed`);
}

/** Runs one plan to its end, or to the first thing that does not hold. */
export async function runChainPlan(
  plan: ChainPlan,
  workload: ChainWorkload,
  { trace = false, moreTurns = 0 }: ChainSettings = {},
): Promise<ChainOutcome> {
  const world = new World(new Trace(trace), MORE_TURNS + moreTurns);
  const stage = new ChainStage(world, plan, workload);
  setUp(stage);
  await world.runUntil(stage.healsAt);
  heal(stage);
  await world.runUntil(stage.healsAt + chainSettleMs(plan) + (workload.settleMs ?? 0));
  expectSettled(stage);
  await closeAll(stage);
  return {
    plan,
    workload: workload.name,
    violation: world.violation,
    hash: world.trace.hash,
    trace: world.trace.lines,
    faults: stage.counts,
    deeds: stage.deeds,
    simulatedMs: world.now,
    events: world.eventCount,
  };
}
