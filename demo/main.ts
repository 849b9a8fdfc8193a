import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Relay } from 'holdfast/testing';
import type { ClientResult, Report } from './messages.ts';
import { type Figure, printFigures, Timeline } from './timeline.ts';

/** What the links are called, which are also the client ids. */
const links = ['websocket', 'unix-socket'] as const;
type Link = (typeof links)[number];

const MIN_SENT_AGAIN = 20;
/** Far above what a run takes: whoever hangs is a failure, not a wait. */
const GIVE_UP_MS = 60_000;

type Fault = { at: number; on: Link; what: string; apply: (relay: Relay) => void; isCut?: boolean };

const cut = (at: number, on: Link): Fault => ({ at, on, what: '✂  cut', apply: (relay) => relay.cut(), isCut: true });

function takeAway(relay: Relay): void {
  relay.setUp(false);
  relay.cut();
}

/** Seconds from the moment both clients are connected. */
const schedule: readonly Fault[] = [
  cut(0.8, 'websocket'),
  cut(1.3, 'unix-socket'),
  { at: 1.9, on: 'websocket', what: '⏸  stalled', apply: (relay) => relay.stall() },
  { at: 2.2, on: 'websocket', what: '▶  flowing again', apply: (relay) => relay.resume() },
  {
    at: 2.5,
    on: 'unix-socket',
    what: '↯  half open: nothing reaches the client',
    apply: (relay) => relay.halfOpen('down'),
    isCut: true,
  },
  {
    at: 3.6,
    on: 'websocket',
    what: '↯  half open: nothing reaches the server',
    apply: (relay) => relay.halfOpen('up'),
    isCut: true,
  },
  cut(4.6, 'unix-socket'),
  {
    at: 5.3,
    on: 'websocket',
    what: '✂  cut, and the server is out of reach',
    apply: takeAway,
    isCut: true,
  },
  { at: 6.0, on: 'websocket', what: '▶  back in reach', apply: (relay) => relay.setUp(true) },
  {
    at: 6.3,
    on: 'unix-socket',
    what: '↯  half open: a black hole',
    apply: (relay) => relay.halfOpen('both'),
    isCut: true,
  },
  cut(7.4, 'websocket'),
];

/** The largest declaration file that TypeScript ships. */
async function defaultFile(): Promise<string> {
  const require = createRequire(import.meta.url);
  const typescript = dirname(require.resolve('typescript/package.json'));
  const folders = [join(typescript, 'lib'), ...(await platformLibs(typescript))];
  const files: { path: string; size: number }[] = [];
  for (const folder of folders) {
    for (const name of await readdir(folder).catch(() => [])) {
      if (name.endsWith('.d.ts')) files.push({ path: join(folder, name), size: (await stat(join(folder, name))).size });
    }
  }
  const largest = files.sort((a, b) => b.size - a.size)[0];
  if (largest === undefined)
    throw new Error(`found no .d.ts in ${folders.join(' or ')}; name a file: npm run demo -- FILE`);
  return largest.path;
}

/** The native compiler keeps its libraries in the package of its platform. */
async function platformLibs(typescript: string): Promise<string[]> {
  const scope = join(typescript, '..', '@typescript');
  const names = await readdir(scope).catch(() => []);
  return names.map((name) => join(scope, name, 'lib'));
}

class Demo {
  readonly #file: string;
  readonly #size: number;
  readonly #timeline = new Timeline(links);
  readonly #children: ChildProcess[] = [];
  readonly #results = new Map<string, ClientResult>();
  readonly #connected = new Set<string>();
  readonly #uploading = new Set<string>();
  readonly #lastTenth = new Map<string, number>();
  #sentAgain = 0;
  #cuts = 0;
  #cutsInsideUploads = 0;

  constructor(file: string, size: number) {
    this.#file = file;
    this.#size = size;
  }

  async run(): Promise<boolean> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-demo-'));
    const relays: Relay[] = [];
    try {
      const serverPath = join(folder, 'server.sock');
      const relayPath = join(folder, 'relay.sock');
      const port = await this.#startServer(serverPath);
      const webSocket = await Relay.start({ port: 0 }, { port });
      const unix = await Relay.start({ path: relayPath }, { path: serverPath });
      relays.push(webSocket, unix);
      const targets: Record<Link, string> = { websocket: `ws://127.0.0.1:${webSocket.port}`, 'unix-socket': relayPath };
      const done = links.map((link) => this.#startClient(link, targets[link]));
      await this.#until(() => this.#connected.size === links.length && this.#uploading.size === links.length);
      await Promise.race([this.#play({ websocket: webSocket, 'unix-socket': unix }), Promise.all(done)]);
      await Promise.all(done);
      return await this.#judge();
    } finally {
      for (const child of this.#children) child.kill();
      for (const relay of relays) await relay.close();
      await rm(folder, { recursive: true, force: true });
    }
  }

  #start(script: string, argv: string[]): ChildProcess {
    const child = fork(new URL(script, import.meta.url), argv);
    this.#children.push(child);
    child.on('message', (message) => this.#onReport(message as Report)); // our own processes, our own union
    return child;
  }

  #startServer(path: string): Promise<number> {
    const child = this.#start('./server.js', [path]);
    return new Promise((resolve, reject) => {
      child.on('message', (message: Report) => {
        if (message.type === 'listening') resolve(message.port);
      });
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    });
  }

  #startClient(link: Link, target: string): Promise<void> {
    const child = this.#start('./client.js', [link, target, this.#file]);
    return new Promise((resolve, reject) => {
      child.once('exit', (code) => {
        if (code === 0 && this.#results.has(link)) resolve();
        else reject(new Error(`the client on ${link} ended with ${code} and no result`));
      });
    });
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await pause(5);
  }

  async #play(relays: Record<Link, Relay>): Promise<void> {
    const startedAt = this.#timeline.seconds;
    for (const { at, on, what, apply, isCut } of schedule) {
      await pause(Math.max(0, (startedAt + at - this.#timeline.seconds) * 1_000));
      if (isCut === true) {
        this.#cuts += 1;
        if (this.#uploading.has(on)) this.#cutsInsideUploads += 1;
      }
      this.#timeline.fault(`${what} (${on})`);
      apply(relays[on]);
    }
  }

  #onReport(message: Report): void {
    switch (message.type) {
      case 'listening':
        return;
      case 'state':
        if (message.state === 'Connected') this.#connected.add(message.link);
        this.#sentAgain += message.resent;
        return this.#timeline.state(message.link, message.side, message.state, message.resent);
      case 'uploading':
        if (message.isOn) this.#uploading.add(message.link);
        else this.#uploading.delete(message.link);
        return;
      case 'confirmed': {
        const tenth = Math.floor((message.bytes / this.#size) * 10);
        if (tenth <= (this.#lastTenth.get(message.link) ?? 0)) return;
        this.#lastTenth.set(message.link, tenth);
        return this.#timeline.confirmed(message.link, message.bytes, this.#size);
      }
      case 'result':
        this.#results.set(message.link, message.result);
        return;
      default:
        message satisfies never;
    }
  }

  async #judge(): Promise<boolean> {
    const results = [...this.#results.values()];
    const sum = (of: (result: ClientResult) => number) => results.reduce((total, result) => total + of(result), 0);
    const sent = sum((result) => result.sent);
    const received = sum((result) => result.received);
    const lost = sent - received + sum((result) => result.duplicated);
    const sha256 = createHash('sha256')
      .update(await readFile(this.#file))
      .digest('hex');
    const figures: Figure[] = [
      { name: 'messages sent', value: sent, isGood: sent > 0 },
      { name: 'messages received', value: received, isGood: received === sent },
      { name: 'lost', value: lost, isGood: lost === 0 },
      {
        name: 'duplicated',
        value: sum((result) => result.duplicated),
        isGood: sum((result) => result.duplicated) === 0,
      },
      {
        name: 'out of order',
        value: sum((result) => result.outOfOrder),
        isGood: sum((result) => result.outOfOrder) === 0,
      },
      { name: 'sent again after a reconnect', value: this.#sentAgain, isGood: this.#sentAgain >= MIN_SENT_AGAIN },
      { name: 'cuts survived', value: this.#cuts, isGood: this.#cuts > 0 },
      { name: 'of them inside an upload', value: this.#cutsInsideUploads, isGood: this.#cutsInsideUploads > 0 },
      {
        name: 'sessions',
        value: sum((result) => result.sessions),
        isGood: results.every((result) => result.sessions === 1),
      },
      {
        name: 'file',
        value: `${this.#file} (${this.#size} bytes)`,
        isGood: results.every((result) => result.size === this.#size),
      },
      { name: 'SHA-256 here', value: sha256, isGood: true },
      ...[...this.#results].map(([link, result]) => ({
        name: `SHA-256 by ${link}`,
        value: result.sha256,
        isGood: result.sha256 === sha256,
      })),
    ];
    printFigures(figures);
    return this.#results.size === links.length && figures.every(({ isGood }) => isGood);
  }
}

const file = resolve(process.argv[2] ?? (await defaultFile()));
const { size } = await stat(file);
if (size === 0) throw new Error(`${file} is empty: there is nothing to upload`);
const giveUp = setTimeout(() => {
  console.error(`the demo did not end within ${GIVE_UP_MS} ms`);
  process.exit(1);
}, GIVE_UP_MS);
const isGood = await new Demo(file, size).run();
clearTimeout(giveUp);
console.log(isGood ? 'Connections dropped, sessions survived.' : 'Something is off: see the figures marked ✗.');
process.exitCode = isGood ? 0 : 1;
