import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Relay } from '../../testUtil/relay.ts';
import { Random } from '../../testUtil/sim/engine/random.ts';
import type { ChaosReport } from './numbers.ts';

/** What came of a run. */
export interface ChaosOutcome {
  /** Times each fault was made. */
  made: Record<string, number>;
  /** By process: totals over all its lives. */
  sent: number;
  received: number;
  sessions: number;
  /** What the oracles found; empty if all is well. */
  faults: string[];
}

/** How long everything must have flowed again, both ways, after the faults stop. */
const HEAL_MS = 15_000;

/** A process with its totals, which survive its being killed and started again. */
class Actor {
  readonly script: string;
  readonly argv: string[];
  sent = 0;
  received = 0;
  sessions = 0;
  #base = { sent: 0, received: 0, sessions: 0 };
  #process: ChildProcess | undefined;

  constructor(script: string, argv: string[]) {
    this.script = script;
    this.argv = argv;
  }

  start(onReport: (report: ChaosReport) => void): void {
    this.#base = { sent: this.sent, received: this.received, sessions: this.sessions };
    const child = fork(this.script, this.argv);
    this.#process = child;
    child.on('message', (message: ChaosReport) => {
      if (message.type === 'progress') {
        this.sent = this.#base.sent + message.sent;
        this.received = this.#base.received + message.received;
        this.sessions = this.#base.sessions + message.sessions;
      }
      onReport(message);
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}

async function bundle(folder: string, name: string): Promise<string> {
  const outfile = join(folder, `${name}.mjs`);
  await build({
    entryPoints: [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'silent',
  });
  return outfile;
}

/** Breaks everything that can be broken, at random, for `ms` milliseconds; then lets it heal and judges. */
export async function runChaos(ms: number, seed: number): Promise<ChaosOutcome> {
  const chance = new Random(seed);
  const random = (): number => chance.next();
  // Inside the repository, so that the processes find what is installed.
  const folder = await mkdtemp(fileURLToPath(new URL('../../node_modules/.cache-chaos-', import.meta.url)));
  const outcome: ChaosOutcome = { made: {}, sent: 0, received: 0, sessions: 0, faults: [] };
  const cleanups: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  const onReport = (message: ChaosReport): void => {
    if (message.type === 'progress') outcome.faults.push(...message.faults);
  };
  try {
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    const [serverScript, clientScript] = [await bundle(folder, 'server'), await bundle(folder, 'client')];
    const serverPath = join(folder, 's.sock');
    const server = new Actor(serverScript, [serverPath, '0']);
    cleanups.push(() => server.kill());
    const port = await new Promise<number>((resolve) =>
      server.start((message) => {
        if (message.type === 'listening') resolve(message.port);
        onReport(message);
      }),
    );
    server.argv[1] = String(port);
    const relays = [
      await Relay.start({ port: 0 }, { port }),
      await Relay.start({ path: join(folder, 'r.sock') }, { path: serverPath }),
    ] as const;
    cleanups.push(async () => void (await Promise.all(relays.map((relay) => relay.close()))));
    const targets = [`ws://127.0.0.1:${relays[0].port}`, join(folder, 'r.sock')];
    const clients = [0, 1, 2, 3].map((i) => new Actor(clientScript, [`client-${i}`, targets[i % 2] ?? '']));
    for (const client of clients) {
      cleanups.push(() => client.kill());
      client.start(onReport);
    }
    const count = (name: string): void => {
      outcome.made[name] = (outcome.made[name] ?? 0) + 1;
    };
    const until = performance.now() + ms;
    while (performance.now() < until) {
      await pause(100 + random() * 600);
      const relay = relays[chance.integer(0, 1)] ?? relays[0];
      const roll = random();
      if (roll < 0.35) {
        count('cut');
        relay.cut();
      } else if (roll < 0.55) {
        count('stall');
        relay.stall();
        await pause(100 + random() * 1_500);
        relay.resume();
      } else if (roll < 0.72) {
        count('half open');
        relay.halfOpen(chance.pick(['up', 'down', 'both'] as const) ?? 'both');
      } else if (roll < 0.8) {
        count('unreachable');
        relay.setUp(false);
        relay.cut();
        await pause(200 + random() * 2_000);
        relay.setUp(true);
      } else if (roll < 0.88) {
        count('process stopped');
        const actor = chance.pick([server, ...clients]) ?? server;
        actor.signal('SIGSTOP');
        await pause(200 + random() * 2_500);
        actor.signal('SIGCONT');
      } else if (roll < 0.95) {
        count('client killed');
        const client = chance.pick(clients);
        await client?.kill();
        client?.start(onReport);
      } else {
        count('server killed');
        await server.kill();
        server.start(onReport);
      }
    }
    await judgeHealing([server, ...clients], outcome);
    for (const actor of [server, ...clients]) {
      outcome.sent += actor.sent;
      outcome.received += actor.received;
      outcome.sessions += actor.sessions;
    }
    return outcome;
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}

/** Once the faults have stopped, every process must receive again. */
async function judgeHealing(actors: readonly Actor[], outcome: ChaosOutcome): Promise<void> {
  const before = actors.map((actor) => actor.received);
  const until = performance.now() + HEAL_MS;
  const lagging = () => actors.filter((actor, i) => actor.received < (before[i] ?? 0) + 50);
  while (lagging().length > 0 && performance.now() < until) await pause(100);
  for (const actor of lagging())
    outcome.faults.push(`${actor.argv.join(' ')} does not receive after the faults have stopped`);
}
