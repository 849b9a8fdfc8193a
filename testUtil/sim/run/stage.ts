import type { Clock } from '../../../transport/clock.ts';
import { Phase } from '../engine/eventHeap.ts';
import { Host } from '../engine/host.ts';
import { Network } from '../engine/network.ts';
import { hashText } from '../engine/random.ts';
import { SimClientTransport, SimServerTransport } from '../engine/transports.ts';
import type { World } from '../engine/world.ts';
import type { Oracle } from '../oracle/oracle.ts';
import type { SessionWitness } from '../oracle/sessionWitness.ts';
import type { ProgramContext, RunningProgram, Workload } from '../workload/workload.ts';
import { type FaultClass, faultClasses } from './faultClasses.ts';
import { listen } from './listen.ts';
import type { Plan } from './plan.ts';
import { slowHandshake, transportOptions } from './settings.ts';

/** Whom clients dial. */
export const SERVER_ID = 'SERVER';
/** An application that was refused for good asks again after this long. */
const ASK_AGAIN_MS = 1_000;

/** A validator that is slow is slow all the time: so many times count as faults. */
const COUNTED_VALIDATIONS = 3;

/** A process with its program. */
export interface Running {
  readonly host: Host;
  readonly transport: SimClientTransport | SimServerTransport;
  readonly program: RunningProgram;
  readonly witness: SessionWitness;
  /** Ends what the stage itself does in the process. */
  readonly stop: () => void;
}

/** The place of one client: processes come and go in it. */
export interface ClientSlot {
  readonly name: string;
  host: Host | undefined;
}

/** The processes of a run, and the network between them. */
export class Stage {
  readonly world: World;
  readonly plan: Plan;
  readonly oracle: Oracle;
  readonly network: Network;
  readonly clients: readonly ClientSlot[];
  readonly counts: Record<FaultClass, number>;
  server: Host | undefined;
  /** When the faults are over. */
  readonly healsAt: number;
  /** True until programs should come to rest. */
  isBusy = true;
  /** Told of each process that was closed in good order. */
  onClosed: (running: Running) => void = () => undefined;
  readonly #workload: Workload;
  readonly #running = new Map<Host, Running>();
  #started = 0;

  constructor(world: World, plan: Plan, oracle: Oracle, workload: Workload) {
    this.world = world;
    this.plan = plan;
    this.oracle = oracle;
    this.healsAt = world.now + plan.durationMs;
    this.network = new Network(plan.seed);
    this.#workload = workload;
    this.clients = Array.from({ length: plan.clients }, (_, i) => ({ name: `client-${i + 1}`, host: undefined }));
    this.counts = Object.fromEntries(faultClasses.map((kind) => [kind, 0])) as Record<FaultClass, number>; // every class is there
  }

  /** Programs of processes that have not died, in the order of their starts. */
  get survivors(): Running[] {
    return [...this.#running.values()].filter(({ host }) => host.isAlive);
  }

  /** Those of them that were not closed. */
  get running(): Running[] {
    return this.survivors.filter(({ transport }) => transport.getStatus() === 'open');
  }

  readonly runningOf = (host: Host | undefined): Running | undefined => {
    return host?.isAlive === true ? this.#running.get(host) : undefined;
  };

  /** Makes a process; its program starts as its first input. `like` gives it the same randomness, as a copy has it. */
  newHost(name: string, like?: Host): Host {
    const { kinds, seed } = this.plan;
    const keepsJournal = kinds.includes(name === SERVER_ID ? 'serverRollback' : 'clientRollback');
    const ownSeed = like?.options.seed ?? hashText(`${seed}/host/${name}/${this.#started++}`);
    return new Host(this.world, { name, seed: ownSeed, uplink: this.network, keepsJournal });
  }

  startServer(): void {
    const host = this.newHost(SERVER_ID);
    this.server = host;
    this.network.listener = host;
    host.schedule(this.world.now, Phase.Timer, (self) => this.#bootServer(self));
  }

  startClient(name: string): Host {
    const host = this.newHost(name);
    host.schedule(this.world.now, Phase.Timer, (self) => this.#bootClient(self));
    return host;
  }

  /** Milliseconds that faults may still last. */
  get msUntilHealed(): number {
    return Math.max(0, this.healsAt - this.world.now);
  }

  /** The application of a process ends its sessions at once, and goes on. Returns false where it has none. */
  endSessions(host: Host | undefined): boolean {
    const transport = this.runningOf(host)?.transport;
    if (host === undefined || transport === undefined || transport.sessions.size === 0) return false;
    host.schedule(this.world.now, Phase.Timer, (self) => {
      const running = this.#running.get(self);
      if (running === undefined) return;
      running.witness.isClosing = true;
      running.transport.hardDisconnect();
      running.witness.isClosing = false;
    });
    return true;
  }

  /** Closes a process in good order. */
  close(host: Host): void {
    host.schedule(this.world.now, Phase.Timer, (self) => {
      const running = this.#running.get(self);
      if (running === undefined) return;
      running.witness.isClosing = true;
      running.stop();
      running.program.close?.();
      running.transport.close();
      running.witness.gaveUp();
      this.onClosed(running);
    });
  }

  #bootServer(host: Host): void {
    const witness = this.oracle.watch(host, 'server');
    const { duplicateClient, serverHandshakeTimeoutMs: handshakeTimeoutMs } = this.plan.options;
    const transport = new SimServerTransport(host, SERVER_ID, {
      ...transportOptions(this.plan),
      duplicateClient,
      handshakeTimeoutMs,
    });
    const clock = host.time.for('application');
    if (this.plan.kinds.includes('slowValidation')) {
      const isOver = (): boolean => host.now >= this.healsAt;
      transport.setHandshake(slowHandshake(this.plan, clock, isOver, () => this.#countSlow(host)));
    }
    listen(transport, witness);
    const program = this.#workload.startServer({ ...this.#context(host, clock, witness), transport });
    this.#running.set(host, { host, transport, program, witness, stop: () => undefined });
  }

  #countSlow(host: Host): void {
    if (!host.isReplaying && this.counts.slowValidation < COUNTED_VALIDATIONS) this.counts.slowValidation += 1;
  }

  #bootClient(host: Host): void {
    const witness = this.oracle.watch(host, 'client');
    const { baseIntervalMs, maxJitterMs, maxBackoffMs } = this.plan.options;
    const options = { ...transportOptions(this.plan), baseIntervalMs, maxJitterMs, maxBackoffMs };
    const transport = new SimClientTransport(host, host.name, options);
    const clock = host.time.for('application');
    listen(transport, witness);
    let cancel = (): void => undefined;
    transport.addEventListener('sessionStatus', (event) => {
      if (event.status !== 'closed' || event.end.code !== 'handshake_rejected') return;
      witness.gaveUp();
      cancel();
      cancel = clock.after(ASK_AGAIN_MS, () => {
        if (transport.getStatus() === 'closed') return;
        witness.wants();
        transport.connect(SERVER_ID);
      });
    });
    const context = { ...this.#context(host, clock, witness), transport, serverId: SERVER_ID };
    const program = this.#workload.startClient(context);
    this.#running.set(host, { host, transport, program, witness, stop: () => cancel() });
    witness.wants();
    transport.connect(SERVER_ID);
  }

  #context(host: Host, clock: Clock, witness: SessionWitness): ProgramContext {
    let tags = 0;
    return {
      clock,
      witness,
      isBusy: () => host.isReplaying || this.isBusy,
      nextTag: () => host.taker * 1_000_000 + tags++,
      fail: (invariant, message) => {
        if (!host.isReplaying) this.oracle.fail(invariant, `${host.name}: ${message}`);
      },
      note: (what) => {
        if (!host.isReplaying) this.oracle.note(host, what);
      },
    };
  }
}
