import type { Running, Stage } from '../run/stage.ts';
import type { Half } from './half.ts';
import { LIAR } from './oracle.ts';

/** Invariant 2 for one direction: everything has arrived, and is known to have. */
function expectArrived(stage: Stage, from: Half, to: Half, isKnown: boolean): void {
  const { oracle } = stage;
  if (to.rx.length !== from.tx.length)
    oracle.fail('2', `${from.name} sent ${from.tx.length} messages, only ${to.rx.length} of them arrived`);
  if (isKnown && from.peerAck < from.lastMessageNext)
    oracle.fail(
      '2',
      `${from.name} does not know that ${from.lastMessageNext - 1} arrived: acknowledged up to ${from.peerAck}`,
    );
}

/** Invariant 6 on the server: whoever is connected has a session, and nobody asks for one any more. */
function expectNobodyWaits({ oracle, server, runningOf }: Stage): void {
  const sessions = runningOf(server)?.transport.sessions.size ?? 0;
  const open = server?.connections.filter((connection) => !connection.isEnded).length ?? 0;
  if (open > sessions) oracle.fail('6', `the server has ${open} connections open, and ${sessions} sessions`);
}

/**
 * Invariants 2 and 7, some time after the last fault: everybody is connected, and nothing is under way.
 * @param isKnown true where there was time for a heartbeat since the last message
 */
export function expectSettled(stage: Stage, isKnown = true): void {
  const { oracle, world } = stage;
  if (world.violation !== undefined) return;
  for (const slot of stage.clients) {
    const running = stage.runningOf(slot.host);
    if (running === undefined) continue;
    const half = [...running.witness.halves.values()].find((candidate) => candidate.isAlive);
    const server = half === undefined ? undefined : oracle.peerOf(half);
    if (half === undefined || half.disconnectedAt !== undefined)
      oracle.fail('2', `${slot.name} is not connected, long after the last fault`);
    else if (server?.isAlive !== true || server.disconnectedAt !== undefined)
      oracle.fail('2', `${half.name} is connected, but the server does not know of it`);
    const { host } = running;
    const open = host.connections.filter((connection) => !connection.isEnded).length;
    if (open > 1) oracle.fail('6', `${slot.name} has ${open} connections open`);
    const timers = host.time.count('transport');
    if (timers > 1) oracle.fail('7', `${slot.name} is at rest and has ${timers} timers: states left some behind`);
  }
  expectNobodyWaits(stage);
  for (const { client, server } of oracle.livePairs()) {
    expectArrived(stage, client, server, isKnown);
    expectArrived(stage, server, client, isKnown);
  }
  for (const { host, program, witness } of stage.running) {
    if (oracle.hasBlindPair(witness.halves.values())) continue; // a call that was lost unnoticed never ends
    const unfinished = program.unfinished?.();
    if (unfinished !== undefined) oracle.fail('2', `${host.name}: ${unfinished}`);
  }
}

/**
 * Invariant 10: an idle session sends at most two frames a heartbeat.
 * @returns judges what was sent since
 */
export function idleFrames(stage: Stage): () => void {
  const { oracle, world } = stage;
  const since = world.now;
  const before = [...oracle.livePairs()].map((pair) => ({ ...pair, frames: pair.client.frames + pair.server.frames }));
  return () => {
    const interval = oracle.terms.beatMs;
    const most = 2 * Math.ceil((world.now - since) / interval) + 2;
    for (const { client, server, frames } of before) {
      const sent = client.frames + server.frames - frames;
      if (sent > most)
        oracle.fail(
          '10',
          `idle ${client.name} took ${sent} frames in ${world.now - since} ms, expected at most ${most}`,
        );
    }
  };
}

/** Invariant 9: everything was closed, and nothing is left. */
export function expectRest(stage: Stage): void {
  if (stage.world.violation !== undefined) return;
  for (const running of stage.survivors) expectNothingLeft(stage, running);
  for (const pipe of stage.network.pipes) {
    if (pipe.client.host.name !== LIAR && !pipe.isCut)
      stage.oracle.fail('9', `a connection of ${pipe.client.host.name} was never closed`);
  }
}

/** Invariant 9 for one process, some time after it was closed. */
export function expectNothingLeft({ oracle }: Stage, { host, transport, program }: Running): void {
  const left: [string, number][] = [
    ['timers of the transport', host.time.count('transport')],
    ['timers of the application', host.time.count('application')],
    ['callbacks', host.time.waitingForIo],
    ['connections', host.connections.filter((connection) => !connection.isEnded).length],
    ['sessions', transport.sessions.size],
    ['pending handshakes', 'pendingHandshakes' in transport ? transport.pendingHandshakes : 0],
  ];
  const leftovers = program.leftovers?.();
  if (leftovers !== undefined) oracle.fail('9', `${host.name} was closed and has left: ${leftovers}`);
  for (const [what, count] of left)
    if (count > 0) oracle.fail('9', `${host.name} was closed and has ${count} ${what} left`);
}
