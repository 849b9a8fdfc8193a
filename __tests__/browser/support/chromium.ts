import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

/** Where Chromium should be: `CHROMIUM_PATH`, or where Debian installs it. */
const executable = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

/** Whether there is a Chromium to test with. */
export const hasChromium = existsSync(executable);

/** Without these it looks for updates and accounts on the network. None of them keeps background tabs awake. */
const flags = [
  '--headless',
  '--no-sandbox', // root, in containers; the pages are ours
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
];

/** What the browser says of a WebSocket that could not be opened or broke. Tests that break connections expect it. */
const failedSocket = /^WebSocket connection to '\S+' failed/;

/** Resolves with the address that the browser prints once it can be driven. */
function debuggingUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = '';
    child.stderr?.on('data', (chunk) => {
      printed += String(chunk);
      const url = /DevTools listening on (ws:\S+)/.exec(printed)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${executable} ended with ${code}: ${printed}`)));
  });
}

/** One tab, and everything it complains of. Leaving the block closes it and fails if it complained. */
export class Tab implements AsyncDisposable {
  readonly page: Page;
  /** Directives of the content security policy that the page violated. */
  readonly violations: string[] = [];
  /** Errors on the console and errors that nothing in the page caught. */
  readonly errors: string[] = [];
  /** WebSockets that could not be opened or broke, in the browser's words. */
  readonly failedSockets: string[] = [];
  /** Whether {@link failedSockets} may hold anything at the end. */
  readonly #breaks: boolean;

  constructor(page: Page, breaks: boolean) {
    this.page = page;
    this.#breaks = breaks;
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('crash', () => this.errors.push('the page crashed'));
    page.on('console', (message) => {
      if (message.type() !== 'error') return;
      const text = message.text();
      (failedSocket.test(text) ? this.failedSockets : this.errors).push(text);
    });
  }

  /** Listens for violations before the page's first script can cause one, then loads it. */
  async load(url: string): Promise<void> {
    await this.page.exposeFunction('reportViolation', (directive: string) => void this.violations.push(directive));
    await this.page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI, sample }) => {
        const { reportViolation } = globalThis as { reportViolation?: (directive: string) => void }; // exposed above
        reportViolation?.(`${effectiveDirective} ${blockedURI} ${sample}`);
      });
    });
    await this.page.goto(url);
  }

  /** Stops everything in a hidden page, as the browser does to save memory and power, until `happens` is done. */
  async whileFrozen(happens: () => PromiseLike<unknown>): Promise<void> {
    const session = await this.page.context().newCDPSession(this.page);
    await session.send('Page.setWebLifecycleState', { state: 'frozen' });
    try {
      await happens();
    } finally {
      await session.send('Page.setWebLifecycleState', { state: 'active' });
      await session.detach();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What the page has complained of by now comes before its answer.
    await this.page.evaluate(() => undefined);
    await this.page.close();
    const complaints = [...this.violations, ...this.errors, ...(this.#breaks ? [] : this.failedSockets)];
    if (complaints.length > 0) throw new Error(`the page complained: ${complaints.join('; ')}`);
  }
}

/** A headless Chromium as a person's would be: tabs hide one another, and what is hidden is slowed down. */
export class Chromium implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #browser: Browser;

  private constructor(child: ChildProcess, profile: string, browser: Browser) {
    this.#child = child;
    this.#profile = profile;
    this.#browser = browser;
  }

  static async launch(): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), 'holdfast-chromium-'));
    const child = spawn(executable, [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    process.once('exit', () => child.kill('SIGKILL'));
    // Playwright's own launch would switch throttling off, and its defaults make every page believe that it has the focus.
    const browser = await chromium.connectOverCDP(await debuggingUrl(child), { noDefaults: true });
    return new Chromium(child, profile, browser);
  }

  get version(): string {
    return this.#browser.version();
  }

  get #context(): BrowserContext {
    const [context] = this.#browser.contexts();
    if (context === undefined) throw new Error('expected the browser to have its own context');
    return context;
  }

  /**
   * Opens a page in a tab of its own, in front of all others.
   * @param options `breaks`: the test breaks the page's connections, so that the page may say that they failed
   */
  async open(url: string, { breaks = false }: { breaks?: boolean } = {}): Promise<Tab> {
    const tab = new Tab(await this.#context.newPage(), breaks);
    await tab.load(url);
    return tab;
  }

  /** Takes the network away from every tab, or gives it back. */
  setOffline(isOffline: boolean): Promise<void> {
    return this.#context.setOffline(isOffline);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    await this.#browser.close();
    this.#child.kill();
    await exited;
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
