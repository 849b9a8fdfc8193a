import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from 'holdfast';
import { CacheUnconfirmedError, relayCache } from 'holdfast/cache';
import { UnixDomainSocketClientTransport } from 'holdfast/transport/unix/client';
import { reporter } from '../stage/report.ts';
import type { ClientOrder, ClientReport } from './reports.ts';
import type { Services } from './services.ts';

/** The client's process. `argv`: where the service is, and `naive` for one that takes a rejection for a yes. */
const [, , service = '', mode] = process.argv;
const report = reporter<ClientReport>();

const dial = { baseIntervalMs: 20, maxJitterMs: 20, maxBackoffMs: 200 };
const upstream = createClient<Services>(new UnixDomainSocketClientTransport(service, 'client', dial), 'SERVICE');
const puppets = relayCache(upstream.puppets);

/** No older pose may be seen any more. */
let confirmed = 0;
let reads = 0;
let older = 0;
let seen = 0;

async function read(): Promise<void> {
  const atLeast = confirmed;
  try {
    const { pose } = await puppets.get('judy', { timeoutMs: 1_000 });
    reads += 1;
    if (pose < atLeast) older += 1;
    if (pose > seen) report({ type: 'read', pose });
    seen = Math.max(seen, pose);
  } catch {
    // Nobody could be asked in time: no answer, and so no older one.
  }
}

async function invalidate(pose: number, timeoutMs: number): Promise<void> {
  try {
    const isDone = puppets.invalidate('judy', { timeoutMs });
    report({ type: 'asked' });
    await isDone;
  } catch (error) {
    if (!(error instanceof CacheUnconfirmedError)) throw error;
    if (mode === 'naive') confirmed = pose;
    return report({ type: 'unconfirmed', pose, why: error.message });
  }
  confirmed = pose;
  await Promise.all([read(), read(), read()]); // at once, when it would be most likely to be wrong
  report({ type: 'confirmed', pose });
}

async function look(times: number): Promise<void> {
  for (let n = 0; n < times; n++) await read();
  report({ type: 'figures', reads, older, hits: puppets.stats.hits, clears: puppets.stats.clears });
}

process.on('message', (order: ClientOrder) => {
  if (order.type === 'invalidate') void invalidate(order.pose, order.timeoutMs);
  else void look(order.times);
});

// An audience that never looks away.
for (;;) {
  await read();
  await pause(1);
}
