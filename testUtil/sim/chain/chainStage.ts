import type { Clock } from '../../../transport/clock.ts';
import { Phase } from '../engine/eventHeap.ts';
import { Host } from '../engine/host.ts';
import { Network } from '../engine/network.ts';
import { hashText } from '../engine/random.ts';
import { SimClientTransport, SimServerTransport } from '../engine/transports.ts';
import type { World } from '../engine/world.ts';
import { type LinkStage, NEVER } from '../run/linkFaults.ts';
import { slowHandshake, transportOptions } from '../run/settings.ts';
import { type ChainFaultClass, chainFaultClasses } from './chainFaultClasses.ts';
import { type ChainPlace, type ChainProcess, leftBy, placeOf } from './chainPlace.ts';
import type { ChainPlan } from './chainPlan.ts';
import { ChainWitness } from './chainWitness.ts';
import type { ChainContext, ChainRun, ChainWorkload } from './chainWorkload.ts';
import { Disk, type DiskImage } from './disk.ts';

const PROVIDER_ID = 'PROVIDER';
const SERVICE_ID = 'SERVICE';
/** Longer than anything takes that a close sets off. */
const REST_MS = 200;
/** Longer than a server waits for its handlers. */
const MOST_CLOSE_MS = 2_000;
/** A validator that is slow is slow all the time: so many times count as faults. */
const COUNTED_VALIDATIONS = 3;

/** The processes of a chain, and the two networks between them. */
export class ChainStage {
  readonly world: World;
  readonly plan: ChainPlan;
  readonly run: ChainRun;
  readonly counts: Record<ChainFaultClass, number>;
  /** What programs counted. */
  readonly deeds = new Map<string, number>();
  readonly provider = placeOf('provider', 'provider');
  readonly service = placeOf('service', 'service');
  readonly leaves: readonly ChainPlace[];
  /** Where the service dials the provider, */
  readonly inner: LinkStage;
  /** and leaves the service. */
  readonly outer: LinkStage;
  /** True until programs should come to rest. */
  isBusy = true;
  /** True once nobody is started again. */
  isOver = false;
  readonly #healsAt: number;
  readonly #running = new Map<Host, ChainProcess>();
  #started = 0;
  #tags = 0;

  constructor(world: World, plan: ChainPlan, workload: ChainWorkload) {
    this.world = world;
    this.plan = plan;
    this.#healsAt = world.now + plan.durationMs;
    this.leaves = Array.from({ length: plan.clients }, (_, i) => placeOf(`leaf-${i + 1}`, 'leaf'));
    this.counts = Object.fromEntries(chainFaultClasses.map((kind) => [kind, 0])) as Record<ChainFaultClass, number>; // every class is there
    const link = (): LinkStage => {
      const until = (): number => Math.max(0, this.#healsAt - world.now);
      return {
        world,
        plan,
        network: new Network(plan.seed),
        get msUntilHealed() {
          return until();
        },
      };
    };
    this.inner = link();
    this.outer = link();
    this.run = workload.begin({
      fail: (invariant, message) => world.fail(invariant, message),
      note: (what) => world.note('judge', what),
      did: this.did,
      isFaultless: plan.faults.length === 0 && !plan.kinds.includes('slowValidation'),
      diskOf: (name) => this.#placeNamed(name).disk,
    });
  }

  get healsAt(): number {
    return this.#healsAt;
  }

  get places(): readonly ChainPlace[] {
    return [this.provider, this.service, ...this.leaves];
  }

  /** The process of a place; undefined where there is none. */
  processOf({ host }: ChainPlace): ChainProcess | undefined {
    return host === undefined ? undefined : this.#running.get(host);
  }

  /** Starts a place's next process, on the disk that its last one left. */
  start(place: ChainPlace): void {
    if (place.host !== undefined || this.isOver) return;
    const { world, plan } = this;
    const link = place.role === 'leaf' ? this.outer : this.inner;
    const seed = hashText(`${plan.seed}/chain/host/${place.name}/${this.#started++}`);
    const host = new Host(world, { name: place.name, seed, uplink: link.network, keepsJournal: false });
    host.witness = new ChainWitness(host, () => {
      this.counts.lateFrames += 1;
    });
    place.host = host;
    place.disk = new Disk(place.disk.image());
    place.disk.onCommit = () => this.#committed(place, host);
    if (place.role === 'provider') this.inner.network.listener = host;
    if (place.role === 'service') this.outer.network.listener = host;
    host.schedule(world.now, Phase.Timer, (self) => this.#boot(place, self));
  }

  /**
   * A place's process is gone without a word; its peers are told by the system, or by nobody. What it goes on doing until
   * its turn is over reaches nobody, and no disk.
   * @param image what the next process finds on the disk; by default what is there now
   */
  crash(place: ChainPlace, isSilent: boolean, image: DiskImage = place.disk.image()): boolean {
    const { host } = place;
    if (host === undefined) return false;
    this.world.note(place.name, 'crashes');
    this.#leave(place, image);
    host.kill();
    const told = { prefix: 1, toldAfterMs: isSilent ? NEVER : 1 };
    this.inner.network.disconnectAll(host, told);
    this.outer.network.disconnectAll(host, told);
    return true;
  }

  /** Starts it after a while. */
  startLater(place: ChainPlace, ms: number): void {
    this.world.later(ms, () => this.start(place) as undefined);
  }

  /** A place's process closes in good order. */
  close(place: ChainPlace): boolean {
    const { host } = place;
    const process = this.processOf(place);
    if (host === undefined || host.isPaused || process === undefined) return false;
    const { disk } = place;
    host.schedule(this.world.now, Phase.Timer, () => this.#shutDown(process));
    // It may write until it has closed. The next process is started later, and finds what is there then.
    this.#leave(place, undefined, disk);
    return true;
  }

  /** A class of faults happens outside of what the plan inflicts by itself. */
  count(kind: ChainFaultClass): void {
    this.counts[kind] += 1;
    this.world.note('fault', kind);
  }

  /** A program counts something. */
  readonly did = (deed: string): void => {
    this.deeds.set(deed, (this.deeds.get(deed) ?? 0) + 1);
  };

  #placeNamed(name: string): ChainPlace {
    const place = this.places.find((candidate) => candidate.name === name);
    if (place === undefined) throw new Error(`expected the name of a place, got '${name}'`);
    return place;
  }

  #leave(place: ChainPlace, image: DiskImage | undefined, disk = new Disk(image)): void {
    place.host = undefined;
    place.commitsLeft = Number.POSITIVE_INFINITY;
    place.disk = disk;
    if (place.role === 'provider') this.inner.network.listener = undefined;
    if (place.role === 'service') this.outer.network.listener = undefined;
  }

  #committed(place: ChainPlace, host: Host): void {
    if (place.host !== host) return;
    place.commitsLeft -= 1;
    if (place.commitsLeft > 0) return;
    this.count('crashAtCommit');
    this.crash(place, host.time.for('application').random() < 0.5);
    this.startLater(place, 500);
  }

  #shutDown({ place, host, servers, clients, program }: ChainProcess): void {
    this.world.note(place.name, 'closes');
    let isClosed = false;
    Promise.resolve(program.close?.()).then(
      () => {
        isClosed = true;
      },
      (error: unknown) => this.world.fail('crash', `${place.name} could not close: ${String(error)}`),
    );
    for (const transport of [...clients, ...servers]) transport.close();
    const until = this.world.now + MOST_CLOSE_MS;
    const look = (): undefined => {
      // A server waits for handlers, and those for whomever they asked.
      if (host.isPaused || (!isClosed && this.world.now < until)) this.world.later(REST_MS, look);
      else if (!isClosed) this.world.fail('9', `${place.name} is not closed after ${MOST_CLOSE_MS} ms`);
      else if (host.isAlive) this.#expectNothingLeft(place, host);
    };
    this.world.later(REST_MS, look);
  }

  /** Invariant 9 for a process that was closed. */
  #expectNothingLeft({ name }: ChainPlace, host: Host): void {
    const process = this.#running.get(host);
    if (process === undefined) return;
    const fault = leftBy(process);
    if (fault !== undefined) this.world.fail('9', `${name} was closed and has ${fault} left`);
    const leftovers = process.program.leftovers?.();
    if (leftovers !== undefined) this.world.fail('9', `${name} was closed and has left: ${leftovers}`);
  }

  #boot(place: ChainPlace, host: Host): void {
    const clock = host.time.for('application');
    const context: ChainContext = {
      name: place.name,
      clock,
      disk: place.disk,
      isBusy: () => this.isBusy,
      isAlive: () => host.isAlive,
      nextTag: () => ++this.#tags,
      fail: (invariant, message) => {
        if (host.isAlive) this.world.fail(invariant, `${place.name}: ${message}`);
      },
      note: (what) => {
        if (!host.isAlive) return;
        this.world.trace.mix(what.length);
        this.world.note(place.name, what);
      },
      did: this.did,
    };
    this.#running.set(host, { place, host, ...this.#bootRole(place, host, context) });
  }

  #bootRole(
    { role, name }: ChainPlace,
    host: Host,
    context: ChainContext,
  ): Pick<ChainProcess, 'servers' | 'clients' | 'program'> {
    switch (role) {
      case 'provider': {
        const transport = this.#server(host, PROVIDER_ID, context.clock);
        const program = this.run.startProvider({ ...context, transport });
        return { servers: [transport], clients: [], program };
      }
      case 'service': {
        const transport = this.#server(host, SERVICE_ID, context.clock);
        const upstream = this.#client(host, name, PROVIDER_ID);
        const program = this.run.startService({ ...context, transport, upstream, providerId: PROVIDER_ID });
        return { servers: [transport], clients: [upstream], program };
      }
      case 'leaf': {
        const transport = this.#client(host, name, SERVICE_ID);
        const program = this.run.startLeaf({ ...context, transport, serviceId: SERVICE_ID });
        return { servers: [], clients: [transport], program };
      }
      default:
        return role satisfies never;
    }
  }

  #server(host: Host, id: string, clock: Clock): SimServerTransport {
    const { plan } = this;
    const { duplicateClient, serverHandshakeTimeoutMs: handshakeTimeoutMs } = plan.options;
    const options = { ...transportOptions(plan), duplicateClient, handshakeTimeoutMs };
    const transport = new SimServerTransport(host, id, options);
    if (plan.kinds.includes('slowValidation')) {
      const isOver = (): boolean => host.now >= this.#healsAt;
      const onSlow = (): void => {
        if (this.counts.slowValidation < COUNTED_VALIDATIONS) this.counts.slowValidation += 1;
      };
      // Whoever the validator asks answers from outside: no timer of this process waits for that.
      const after: Clock['after'] = (ms, fn) => {
        host.schedule(host.now + ms, Phase.Io, fn);
        return () => undefined;
      };
      transport.setHandshake(slowHandshake(plan, { ...clock, after }, isOver, onSlow));
    }
    return transport;
  }

  #client(host: Host, id: string, serverId: string): SimClientTransport {
    const { baseIntervalMs, maxJitterMs, maxBackoffMs } = this.plan.options;
    const transport = new SimClientTransport(host, id, {
      ...transportOptions(this.plan),
      baseIntervalMs,
      maxJitterMs,
      maxBackoffMs,
    });
    transport.connect(serverId);
    return transport;
  }
}
