export { createMemoryNetwork, MemoryNetwork } from '../transport/impls/memory/network.ts';
export { closeAllConnections, numberOfConnections } from './connections.ts';
export { createHarness, Harness, type HarnessOptions } from './harness.ts';
export { createLink, type Link, type TransportName, transportNames } from './links.ts';
export { matrix } from './matrix.ts';
export { Relay, type RelayAddress } from './relay.ts';
export { VirtualClock } from './virtualClock.ts';
