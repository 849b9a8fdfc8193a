import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Relay } from '../../testUtil/relay.ts';
import { everyKindExpected } from './everyKind.ts';
import { bundlePage, pageNames } from './support/bundle.ts';
import { Chromium, hasChromium } from './support/chromium.ts';
import {
  connect,
  connections,
  countBeats,
  double,
  ends,
  entered,
  expectBackoff,
  expectConnectedSoonAfter,
  expectNothingLost,
  expectOneSession,
  expectVisibility,
  lastState,
  moreTicks,
  startTraffic,
  timesConnected,
  wait,
} from './support/clientTab.ts';
import { Site } from './support/site.ts';

const TEST_MS = 15_000;

/** A server whose clients notice within half a second that nothing comes any more. */
const lively = { heartbeatIntervalMs: 100, heartbeatsUntilDead: 2 };
/** One that is not deceived by a page that gets no processor for a while. */
const steady = { heartbeatIntervalMs: 250, heartbeatsUntilDead: 3 };
const impatient = { baseIntervalMs: 20, maxJitterMs: 20, maxBackoffMs: 200 };
/** Dials again a minute after a dial that failed. */
const patient = { baseIntervalMs: 60_000, maxJitterMs: 0, maxBackoffMs: 60_000 };
/** Sessions that end soon after their connection. */
const shortLived = { connectionTimeoutMs: 500, handshakeTimeoutMs: 500, sessionDisconnectGraceMs: 1_000 };

if (!hasChromium) console.log('no Chromium: browser tests skipped');

test('Chromium is there where HOLDFAST_REQUIRE_CHROMIUM demands it', () => {
  if (process.env['HOLDFAST_REQUIRE_CHROMIUM'] === '1') expect(hasChromium).toBe(true);
});

describe.skipIf(!hasChromium)('in Chromium', { timeout: TEST_MS }, () => {
  let browser: Chromium;
  beforeAll(async () => {
    await Promise.all(pageNames.map(bundlePage)); // a site has nothing to serve without
    browser = await Chromium.launch();
  }, TEST_MS);
  afterAll(() => browser?.[Symbol.asyncDispose]());

  test('the policy of the pages reports whoever generates code, and the tab hears of it', async () => {
    await using site = await Site.open();
    await using tab = await browser.open(site.url('generate'));
    await expect.poll(() => tab.page.title(), wait).toBe('refused');
    await expect.poll(() => tab.violations.splice(0).join(), wait).toMatch(/^script-src eval/);
  });

  test.each(['json', 'msgpack'] as const)('a page makes calls of all four kinds in %s', async (codec) => {
    await using site = await Site.open();
    await using tab = await browser.open(site.url('client'));
    await tab.page.evaluate(([url, codec]) => clientPage.connect(url, codec, {}), [site.socketUrl, codec] as const);
    expect(await tab.page.evaluate(() => clientPage.callEveryKind())).toEqual(everyKindExpected);
  });

  test('`connect` opens one WebSocket of the platform, and that is all a page needs', async () => {
    await using site = await Site.open();
    await using tab = await browser.open(site.url('connect'));
    const sockets: string[] = [];
    tab.page.on('websocket', (socket) => sockets.push(socket.url()));
    const outcome = await tab.page.evaluate((url) => connectPage.connectAndCall(url), site.socketUrl);
    expect(outcome).toEqual({ everyKind: everyKindExpected, statuses: ['connecting', 'connected', 'closed'] });
    expect(sockets).toEqual([`${site.socketUrl}/`]);
  });

  test('a page serves and calls itself over the memory transport, and generates no code for its schemas', async () => {
    await using site = await Site.open();
    await using tab = await browser.open(site.url('server'));
    const outcomes = await tab.page.evaluate(() => serverPage.serveAndCall());
    expect(outcomes).toEqual([everyKindExpected, everyKindExpected]);
  });

  test('a hidden page that serves itself is not slowed down: nothing of the memory transport waits for a timer', async () => {
    await using site = await Site.open();
    await using tab = await browser.open(site.url('server'));
    await using _inFront = await browser.open('about:blank');
    await expectVisibility(tab, 'hidden');
    const ms = await tab.page.evaluate(async () => {
      const startedAt = performance.now();
      await serverPage.serveAndCall();
      return performance.now() - startedAt;
    });
    // With throttled timers every message would take a second.
    expect(ms).toBeLessThan(5_000);
  });

  test('a page of another origin is refused before it has a connection', async () => {
    await using site = await Site.open();
    await using tab = await browser.open(site.url('client', 'localhost'), { breaks: true });
    await connect(tab, site, impatient);
    await expect.poll(() => tab.failedSockets.length, wait).toBeGreaterThan(1);
    expect(tab.failedSockets.join()).toContain('403');
    expect((await entered(tab)).map(({ state }) => state)).not.toContain('Handshaking');
    expect(site.transport.sessions.size).toBe(0);
  });

  describe('with traffic in both directions, a session survives', () => {
    test.each<[string, (relay: Relay) => void]>([
      ['a cut', (relay) => relay.cut()],
      ['a stall, and what it held back coming late', (relay) => relay.stall()],
      ['a line that is half open towards the page', (relay) => relay.halfOpen('down')],
      ['a line that is half open towards the server', (relay) => relay.halfOpen('up')],
      ['a black hole', (relay) => relay.halfOpen('both')],
    ])('%s: nothing is lost or repeated', async (_fault, happen) => {
      await using site = await Site.open(lively);
      await using tab = await browser.open(site.url('client'), { breaks: true });
      await connect(tab, site, impatient);
      await startTraffic(tab);
      happen(site.relay);
      await expect.poll(() => timesConnected(tab), wait).toBeGreaterThan(1);
      site.relay.resume();
      await moreTicks(tab);
      await expectOneSession(tab, site);
      await expectNothingLost(tab);
    });
  });

  test('a network that is back ends a backoff of a minute', async () => {
    await using site = await Site.open(steady);
    await using tab = await browser.open(site.url('client'), { breaks: true });
    await connect(tab, site, patient);
    await startTraffic(tab);
    await whileOffline(site, () => expectBackoff(tab));
    await expectConnectedSoonAfter(tab, 'onlineAt');
    await moreTicks(tab);
    await expectOneSession(tab, site);
    await expectNothingLost(tab);
  });

  test('a network that is back after more than the grace period brings a new session at once', async () => {
    await using site = await Site.open({ ...steady, ...shortLived });
    await using tab = await browser.open(site.url('client'), { breaks: true });
    await connect(tab, site, { ...patient, ...shortLived });
    expect(await double(tab, 1)).toBe(2);
    await whileOffline(site, () => expect.poll(() => ends(tab), wait).toEqual(['grace_elapsed']));
    await expectConnectedSoonAfter(tab, 'onlineAt');
    const [first, second] = await connections(tab);
    expect(second?.sessionId).not.toBe(first?.sessionId);
    expect(await double(tab, 2)).toBe(4);
  });

  test('a page that becomes visible ends a backoff of a minute', async () => {
    await using site = await Site.open(steady);
    await using tab = await browser.open(site.url('client'), { breaks: true });
    await connect(tab, site, patient);
    await startTraffic(tab);
    await using _inFront = await browser.open('about:blank');
    await expectVisibility(tab, 'hidden');
    site.relay.setUp(false);
    site.relay.cut();
    await expectBackoff(tab);
    site.relay.setUp(true);
    expect(await timesConnected(tab)).toBe(1);
    await tab.page.bringToFront();
    await expectConnectedSoonAfter(tab, 'visibleAt');
    await moreTicks(tab);
    await expectOneSession(tab, site);
    await expectNothingLost(tab);
  });

  test('a background tab stays connected although its timers are throttled, and notices a dead line once it is back', async () => {
    await using site = await Site.open(steady);
    await using tab = await browser.open(site.url('client'), { breaks: true });
    const beats = countBeats(tab);
    await connect(tab, site, impatient);
    await startTraffic(tab);
    await using _inFront = await browser.open('about:blank');
    await expectVisibility(tab, 'hidden');
    // Awake once a second, where 300 calls would be due; a call that comes late may be followed by one that is due.
    expect(await tab.page.evaluate(() => clientPage.timerCallsWithin(3_000))).toBeLessThanOrEqual(8);

    const before = { ...beats };
    await expect.poll(() => beats.answered - before.answered, wait).toBeGreaterThanOrEqual(10);
    expect(beats.heard - before.heard).toBeGreaterThanOrEqual(10);
    await moreTicks(tab);
    expect(await double(tab, 21)).toBe(42);
    await expectVisibility(tab, 'hidden');
    expect(await timesConnected(tab)).toBe(1);
    expect(await lastState(tab)).toBe('Connected');

    site.relay.halfOpen('both');
    await tab.page.bringToFront();
    await expectVisibility(tab, 'visible');
    await expect.poll(() => timesConnected(tab), wait).toBeGreaterThan(1);
    await moreTicks(tab);
    await expectOneSession(tab, site);
    await expectNothingLost(tab);
  });

  test('a background tab that stays cut off ends its session although its timers are throttled', async () => {
    await using site = await Site.open({ ...steady, ...shortLived });
    await using tab = await browser.open(site.url('client'), { breaks: true });
    // Beside so short an interval every throttled timer is late, as beside 5 s after minutes in the background.
    await connect(tab, site, { ...patient, ...shortLived, heartbeatIntervalMs: 100 });
    expect(await double(tab, 1)).toBe(2);
    await using _inFront = await browser.open('about:blank');
    await expectVisibility(tab, 'hidden');
    site.relay.setUp(false);
    site.relay.cut();
    await expect.poll(() => ends(tab), wait).toEqual(['grace_elapsed']);
    await expectVisibility(tab, 'hidden');
  });

  test('a page that was frozen goes on with its session', async () => {
    await using site = await Site.open(lively);
    await using tab = await browser.open(site.url('client'), { breaks: true });
    await connect(tab, site, impatient);
    await startTraffic(tab);
    await using _inFront = await browser.open('about:blank');
    await expectVisibility(tab, 'hidden');
    const serverStates = () => [...site.transport.sessions.values()].map(({ state }) => state);
    await tab.whileFrozen(() => expect.poll(serverStates, wait).toEqual(['NoConnection']));
    await tab.page.bringToFront();
    await expect.poll(() => timesConnected(tab), wait).toBeGreaterThan(1);
    await moreTicks(tab);
    await expectOneSession(tab, site);
    await expectNothingLost(tab);
  });

  /** Takes the network away until `happens` is done. */
  async function whileOffline(site: Site, happens: () => PromiseLike<unknown>): Promise<void> {
    await browser.setOffline(true);
    try {
      // Chromium lets no new WebSocket through, but leaves open ones open and holds back what they carry.
      site.relay.cut();
      await happens();
    } finally {
      await browser.setOffline(false);
    }
  }
});
