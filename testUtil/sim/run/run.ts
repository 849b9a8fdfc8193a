import { Phase } from '../engine/eventHeap.ts';
import { Trace, type TraceLine } from '../engine/trace.ts';
import { type Violation, World } from '../engine/world.ts';
import { expectNothingLeft, expectRest, expectSettled, idleFrames } from '../oracle/final.ts';
import { Oracle } from '../oracle/oracle.ts';
import { sweep } from '../oracle/sweep.ts';
import { portWorkload } from '../workload/ports.ts';
import { routerWorkload } from '../workload/router.ts';
import type { Workload } from '../workload/workload.ts';
import type { FaultClass } from './faultClasses.ts';
import { type Inflict, inflictions } from './faults.ts';
import { lie } from './liar.ts';
import { dialFaults } from './linkFaults.ts';
import { type Plan, type PlannedFault, settleMs, termsOf, windowOf } from './plan.ts';
import { rollBackClient, rollBackServer } from './rollback.ts';
import { Stage } from './stage.ts';

const SWEEP_MS = 1_000;
/** Where less is allowed, programs send enough to reach the bound. */
const SMALL_BUFFER_BYTES = 1024 * 1024;
/** Open streams of one client. */
const maxStreams = 4;
/** More than any message of these programs costs. */
const LARGEST_BYTES = 10_000;
/** Longer than anything takes that a close sets off. */
const REST_MS = 200;

/** How to run a plan. */
export interface RunSettings {
  /** Keep a readable trace. */
  readonly trace?: boolean | undefined;
  /** Turns of the microtask queue after each event, besides those that are enough. */
  readonly moreTurns?: number | undefined;
  /** The programs; by default those that the plan names. */
  readonly workload?: Workload | undefined;
}

/** What came of a run. */
export interface RunOutcome {
  readonly plan: Plan;
  /** What did not hold, if anything. */
  readonly violation: Violation | undefined;
  /** Equal for two runs if they were the same run. */
  readonly hash: string;
  readonly trace: readonly TraceLine[];
  readonly faults: Readonly<Record<FaultClass, number>>;
  /** Virtual milliseconds. */
  readonly simulatedMs: number;
  readonly events: number;
  /** Messages that reached an application. */
  readonly deliveries: number;
  /** Sessions that went on although a half was lost, where counters could not tell. */
  readonly blindPairs: number;
}

const everyInfliction: Record<FaultClass, Inflict> = {
  ...inflictions,
  liar: lie,
  clientRollback: rollBackClient,
  serverRollback: rollBackServer,
};

/** The programs that a plan names. */
export function workloadOf(plan: Plan): Workload {
  const { gapMs, maxBurst, options } = plan;
  if (plan.workload === 'router') return routerWorkload({ gapMs, maxBurst });
  const window = windowOf(options);
  // Where readers may hold more than a session has room for, calls are cancelled, which these programs do not know.
  const heldBytes = 2 * maxStreams * (window + LARGEST_BYTES) < options.maxSessionBufferBytes ? window : 0;
  const largeOneIn = options.maxSessionBufferBytes < SMALL_BUFFER_BYTES ? 3 : 97;
  return portWorkload({ gapMs, maxBurst, maxStreams, largeOneIn, heldBytes });
}

function schedule(stage: Stage, fault: PlannedFault): void {
  const { world } = stage;
  world.schedule(world.now + fault.at, Phase.World, undefined, () => {
    const slot = stage.clients[fault.client];
    if (slot === undefined) return undefined;
    const count = (happened: boolean): undefined => {
      if (!happened) return;
      stage.counts[fault.kind] += 1;
      world.note('fault', `${fault.kind} (${fault.id}) on ${slot.name}`);
    };
    const happened = everyInfliction[fault.kind](stage, fault, slot);
    return typeof happened === 'boolean' ? count(happened) : happened.then(count);
  });
}

function setUp(stage: Stage): void {
  const { world, oracle, plan } = stage;
  oracle.onLateFrame = () => {
    stage.counts.lateFrames += 1;
  };
  stage.onClosed = (running) => {
    world.later(REST_MS, () => {
      const { isAlive, isPaused } = running.host;
      if (isPaused) stage.onClosed(running);
      else if (isAlive) expectNothingLeft(stage, running);
      return undefined;
    });
  };
  stage.network.onFate = ({ kind }) => {
    stage.counts[dialFaults[kind]] += 1;
    world.note('fault', `${dialFaults[kind]} dial`);
  };
  stage.startServer();
  for (const slot of stage.clients) slot.host = stage.startClient(slot.name);
  for (const fault of plan.faults) schedule(stage, fault);
  const look = (): undefined => {
    sweep(oracle);
    world.later(SWEEP_MS, look);
  };
  world.later(SWEEP_MS, look);
}

/** Ends every fault: what was held up goes on, whoever was away is back. */
function heal(stage: Stage): void {
  if (stage.world.violation !== undefined) return;
  stage.isBusy = false;
  stage.network.heal();
  if (stage.server === undefined) stage.startServer();
  for (const slot of stage.clients) slot.host ??= stage.startClient(slot.name);
  stage.world.note('fault', 'every fault is over');
}

/** Runs one plan to its end, or to the first thing that does not hold. */
export async function runPlan(plan: Plan, settings: RunSettings = {}): Promise<RunOutcome> {
  const world = new World(new Trace(settings.trace === true), settings.moreTurns);
  const known = termsOf(plan);
  const terms = settings.workload === undefined ? known : { ...known, tellsAll: false };
  const oracle = new Oracle(world, terms);
  const stage = new Stage(world, plan, oracle, settings.workload ?? workloadOf(plan));
  setUp(stage);
  await world.runUntil(stage.healsAt);
  heal(stage);
  await world.runUntil(stage.healsAt + settleMs(terms));
  expectSettled(stage);
  for (const { host, program } of stage.running)
    if (program.probe !== undefined) host.schedule(world.now, Phase.Timer, () => program.probe?.());
  await world.runUntil(world.now + 1_500);
  expectSettled(stage, false);
  const judgeIdle = idleFrames(stage);
  await world.runUntil(world.now + 3 * terms.heartbeatMs + 100);
  judgeIdle();
  expectSettled(stage);
  for (const { host } of stage.running) stage.close(host);
  await world.runUntil(world.now + 1_000);
  expectRest(stage);
  return {
    plan,
    violation: world.violation,
    hash: world.trace.hash,
    trace: world.trace.lines,
    faults: stage.counts,
    simulatedMs: world.now,
    events: world.eventCount,
    deliveries: oracle.deliveries,
    blindPairs: oracle.blindPairs,
  };
}
