import { type Half, slackOf } from './half.ts';
import type { Oracle } from './oracle.ts';
import { type SessionWitness, TICK_MS } from './sessionWitness.ts';

/** Invariant 8: whoever is away for longer than the grace period is dead. */
function expectGraceful(oracle: Oracle, half: Half): void {
  const { terms, world } = oracle;
  const since = half.disconnectedAt;
  if (since !== undefined) {
    const limit = terms.graceMs + TICK_MS + slackOf(half.host, terms, since);
    if (world.now - since > limit)
      oracle.fail('8', `${half.name} has been disconnected for ${world.now - since} ms and lives`);
    return;
  }
  const peer = oracle.peerOf(half);
  if (half.role === 'client' || peer === undefined || peer.isAlive) return;
  // Its client is gone for good: first liveness must notice, then the grace period passes.
  const gone = Math.max(half.lastArrivalAt, peer.endedAt ?? 0);
  const noticed = terms.heartbeatMs * (terms.misses + 2.5) + TICK_MS + slackOf(half.host, terms, gone);
  if (world.now - gone > noticed)
    oracle.fail('8', `${half.name} has heard nothing for ${world.now - gone} ms and still counts as connected`);
}

/** Invariant 11: a client that wants to be connected dials again and again. */
function expectTrying(oracle: Oracle, { host, idleSince, lastDialAt = 0 }: SessionWitness): void {
  if (idleSince === undefined) return;
  const { terms, world } = oracle;
  const since = Math.max(idleSince, lastDialAt);
  const { connectionTimeoutMs, handshakeTimeoutMs, maxBackoffMs, maxJitterMs } = terms;
  const limit =
    connectionTimeoutMs + handshakeTimeoutMs + maxBackoffMs + maxJitterMs + 2 * TICK_MS + slackOf(host, terms, since);
  if (world.now - since > limit)
    oracle.fail('11', `${host.name} has not dialled for ${world.now - since} ms, and is not connected`);
}

/** What must be true at any time: grace periods end, clients try. Called again and again. */
export function sweep(oracle: Oracle): void {
  for (const witness of oracle.witnesses) {
    if (!witness.host.isAlive || witness.host.isPaused) continue;
    for (const half of witness.halves.values()) if (half.endedAt === undefined) expectGraceful(oracle, half);
    if (witness.role === 'client') expectTrying(oracle, witness);
  }
}
