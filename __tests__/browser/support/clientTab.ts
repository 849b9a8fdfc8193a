import { expect } from 'vitest';
import { MsgpackCodec } from '../../../codec/msgpack.ts';
import { CompactFrameReader } from '../../../transport/compactReader.ts';
import type { ClientTransportOptions } from '../../../transport/options.ts';
import type { SessionState } from '../../../transport/session/common.ts';
import type { Entered } from '../pages/client.ts';
import type { Tab } from './chromium.ts';
import type { Site } from './site.ts';

/** A browser and its pages share two cores with everything else: what is waited for may take this long. */
const WAIT_MS = 8_000;

/** How to wait for what a page, or the server because of a page, comes to. */
export const wait = { timeout: WAIT_MS, interval: 20 };

/** Has the page connect in MessagePack, and returns once it dials. */
export function connect(tab: Tab, site: Site, options: ClientTransportOptions): Promise<void> {
  return tab.page.evaluate(([url, options]) => clientPage.connect(url, 'msgpack', options), [
    site.socketUrl,
    options,
  ] as const);
}

/** States that the page's session has entered, oldest first. */
export function entered(tab: Tab): Promise<Entered[]> {
  return tab.page.evaluate(() => clientPage.entered);
}

/** The latest of them. */
export async function lastState(tab: Tab): Promise<SessionState | undefined> {
  return (await entered(tab)).at(-1)?.state;
}

/** The times it entered Connected. */
export async function connections(tab: Tab): Promise<Entered[]> {
  return (await entered(tab)).filter(({ state }) => state === 'Connected');
}

/** How often. */
export async function timesConnected(tab: Tab): Promise<number> {
  return (await connections(tab)).length;
}

/** The page connected once more after something happened, long before its backoff would have been over. */
export async function expectConnectedSoonAfter(tab: Tab, happened: 'onlineAt' | 'visibleAt'): Promise<void> {
  await expect.poll(() => timesConnected(tab), wait).toBeGreaterThan(1);
  const happenedAt = (await tab.page.evaluate((name) => clientPage[name], happened)).at(-1) ?? Number.NaN;
  const waitedMs = ((await connections(tab))[1]?.at ?? Number.NaN) - happenedAt;
  expect(waitedMs).toBeGreaterThan(0);
  expect(waitedMs).toBeLessThan(WAIT_MS);
}

/** Why the page's sessions ended, oldest first. */
export function ends(tab: Tab): Promise<string[]> {
  return tab.page.evaluate(() => clientPage.ends);
}

/** One call, from the page to the server and back. */
export function double(tab: Tab, n: number): Promise<number> {
  return tab.page.evaluate((n) => clientPage.double(n), n);
}

/** Calls of every kind, from now on; resolves once they are well under way. */
export async function startTraffic(tab: Tab): Promise<void> {
  await tab.page.evaluate(() => clientPage.startTraffic());
  await moreTicks(tab);
}

/** Resolves once more of the subscription has arrived. */
export async function moreTicks(tab: Tab): Promise<void> {
  const ticks = () => tab.page.evaluate(() => clientPage.ticks);
  const before = await ticks();
  await expect.poll(ticks, wait).toBeGreaterThan(before + 10);
}

/** A dial has failed and the next one waits: a patient page has no other reason to back off. */
export async function expectBackoff(tab: Tab): Promise<void> {
  await expect.poll(() => lastState(tab), wait).toBe('BackingOff');
}

/** Whether the page can be seen, as it believes itself. */
export async function expectVisibility(tab: Tab, state: DocumentVisibilityState): Promise<void> {
  await expect.poll(() => tab.page.evaluate(() => document.visibilityState), wait).toBe(state);
}

/** Both sides have had one session all the while, and it is the same. */
export async function expectOneSession(tab: Tab, site: Site): Promise<void> {
  const ids = new Set((await entered(tab)).map(({ sessionId }) => sessionId));
  const clientId = await tab.page.evaluate(() => clientPage.clientId);
  expect([...ids]).toEqual([site.transport.sessions.get(clientId)?.id]);
  expect(site.sessionsCreated).toBe(1);
}

/** Ends the traffic: every number arrived wherever it was to go, in order, once. */
export async function expectNothingLost(tab: Tab): Promise<void> {
  const { sent, ticksSent, ...received } = await tab.page.evaluate(() => clientPage.endTraffic());
  const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
  expect(sent.length).toBeGreaterThan(10);
  expect(sent).toEqual(upTo(sent.length));
  expect(received).toEqual({ answers: sent, notes: sent, mirrored: sent, kept: sent, ticks: upTo(ticksSent) });
}

/** Counts the server's beats and the page's answers as they cross the page's WebSockets. */
export function countBeats(tab: Tab): { heard: number; answered: number } {
  const beats = { heard: 0, answered: 0 };
  // Beats and their answers are frames without a message.
  const isBeat = (payload: string | Buffer) => {
    if (typeof payload === 'string') return false;
    const frame = CompactFrameReader.open(MsgpackCodec, payload, 0);
    return frame instanceof CompactFrameReader && !frame.hasMore;
  };
  tab.page.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) => {
      if (isBeat(payload)) beats.heard += 1;
    });
    socket.on('framesent', ({ payload }) => {
      if (isBeat(payload)) beats.answered += 1;
    });
  });
  return beats;
}
