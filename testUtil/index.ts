export { createMemoryNetwork, MemoryNetwork } from '../transport/impls/memory/network.ts';
export { closeAllConnections, numberOfConnections } from './connections.ts';
export { createHarness, Harness, type HarnessOptions } from './harness.ts';
export { createLink, type Link, type TransportName, transportNames } from './links.ts';
export { matrix } from './matrix.ts';
export { Relay, type RelayAddress } from './relay.ts';
export { formatTrace, type TraceLine } from './sim/engine/trace.ts';
export type { Violation } from './sim/engine/world.ts';
export { type FaultClass, faultClasses } from './sim/run/faultClasses.ts';
export type { Narrowing } from './sim/run/narrow.ts';
export type { RunOutcome } from './sim/run/run.ts';
export { runSeed, type SeedOptions, type SeedOutcome } from './sim/run/seed.ts';
export { replayCommand, shrink } from './sim/run/shrink.ts';
export type {
  ClientContext,
  ProgramContext,
  RunningProgram,
  ServerContext,
  Workload,
} from './sim/workload/workload.ts';
export { VirtualClock } from './virtualClock.ts';
