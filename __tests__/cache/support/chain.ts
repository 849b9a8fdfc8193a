import { type Static, Type } from '@sinclair/typebox';
import type { Cache } from '../../../cache/cache.ts';
import { type CacheProceduresOptions, cacheProcedures } from '../../../cache/cacheProcedures.ts';
import { createCache, type OwnerOptions } from '../../../cache/createCache.ts';
import { type CacheUpstream, type RelayOptions, relayCache } from '../../../cache/relayCache.ts';
import { JsonCodec } from '../../../codec/json.ts';
import { createClient } from '../../../router/client.ts';
import { createServer, type Server } from '../../../router/server.ts';
import { createServiceSchema } from '../../../router/services.ts';
import { Harness } from '../../../testUtil/harness.ts';
import { createLink, type TransportName } from '../../../testUtil/links.ts';
import { VirtualClock } from '../../../testUtil/virtualClock.ts';
import type { ClientTransport } from '../../../transport/client.ts';
import type { ServerTransport } from '../../../transport/server.ts';
import { allExtensions } from '../../support/extensions.ts';

export const Doc = Type.Object({ n: Type.Number() });
export type Doc = Static<typeof Doc>;
type Authorize = CacheProceduresOptions<typeof Doc, object>['authorize'];

const Service = createServiceSchema();

export function docServices(cache: Cache<Doc>, authorize: Authorize = () => true) {
  return { docs: Service.define(cacheProcedures<typeof Doc, object>(cache, { value: Doc, authorize })) };
}
export type DocServices = ReturnType<typeof docServices>;

/** What is served to the next hop. */
interface Served {
  services: DocServices;
  transport: ServerTransport;
  server: Server<DocServices>;
}

/** One process of a chain. */
interface Node {
  /** The link to the next hop. */
  readonly harness: Harness;
  cache: Cache<Doc>;
  /** To the node before; none at the owner. */
  link: ClientTransport | undefined;
  served: Served;
}

export interface ChainOptions {
  transport?: TransportName;
  /** How many nodes, the owner included. */
  nodes?: number;
  owner?: Omit<Partial<OwnerOptions<Doc>>, 'clock'>;
  relays?: Omit<RelayOptions<Doc>, 'clock' | 'store'>;
  /** The store of a relay, by the index of its node. */
  storeOf?: (index: number) => RelayOptions<Doc>['store'];
  authorize?: Authorize;
  /** What a relay sees in the place of its upstream. */
  wrap?: (upstream: CacheUpstream<Doc>, index: number) => CacheUpstream<Doc>;
}

/**
 * An owner (node 0) and hops after it, each a client of the one before, over links of their own and with one clock. What the
 * owner loads is `truth`; a key that was never written is 0.
 */
export class Chain implements AsyncDisposable {
  readonly clock: VirtualClock;
  readonly truth = new Map<string, number>();
  readonly nodes: Node[] = [];
  loads = 0;
  /** A load waits for what this returns before it answers with what it has read before. */
  beforeLoaded: () => Promise<void> | undefined = () => undefined;
  readonly #bare: ClientTransport[] = [];
  readonly #options: ChainOptions;

  constructor(clock: VirtualClock, options: ChainOptions) {
    this.clock = clock;
    this.#options = options;
  }

  static async create(options: ChainOptions = {}): Promise<Chain> {
    let chain: Chain | undefined;
    const clock = new VirtualClock(async () => chain?.settled());
    chain = new Chain(clock, options);
    const { nodes = 3, transport = 'memory' } = options;
    for (let index = 0; index < nodes; index++) {
      const harness = new Harness(clock, await createLink(transport, clock), JsonCodec);
      const { cache, link } = chain.#open(index);
      chain.nodes.push({ harness, cache, link, served: chain.#serve(cache, harness) });
    }
    await chain.settled();
    return chain;
  }

  get owner(): Cache<Doc> {
    return this.node(0).cache;
  }
  /** The last hop. */
  get leaf(): Cache<Doc> {
    return this.node(this.nodes.length - 1).cache;
  }

  node(index: number): Node {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }

  /** Everything on the way has come to rest: what one link brings may set another in motion. */
  async settled(): Promise<void> {
    for (let round = 0; round < 3; round++) for (const { harness } of this.nodes) await harness.settled();
  }

  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  write(key: string, n: number): void {
    this.truth.set(key, n);
  }

  /** A client of a node's service, as a program without a cache has. */
  bareClient(index: number) {
    const transport = this.node(index).harness.client({ extensions: allExtensions });
    this.#bare.push(transport);
    return { transport, client: createClient<DocServices>(transport) };
  }

  /** The process of a node ends. */
  async stop(index: number): Promise<void> {
    const node = this.node(index);
    await node.served.server.close();
    await this.settled();
    node.served.transport.close();
    node.cache.close();
    node.link?.close();
    await this.settled();
  }

  /** And another takes its place, with these options if it is the owner. */
  begin(index: number, owner?: ChainOptions['owner']): void {
    if (owner !== undefined) this.#options.owner = owner;
    const node = this.node(index);
    Object.assign(node, this.#open(index));
    node.served = this.#serve(node.cache, node.harness);
  }

  async restart(index: number, owner?: ChainOptions['owner']): Promise<void> {
    await this.stop(index);
    this.begin(index, owner);
  }

  /** Closes everything, and fails if anything is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { served } of [...this.nodes].reverse()) await served.server.close();
    await this.settled();
    for (const { cache } of this.nodes) cache.close();
    for (const transport of this.#bare) transport.close();
    for (const { served, link } of this.nodes) {
      served.transport.close();
      link?.close();
    }
    await this.settled();
    const left = this.nodes.flatMap(({ cache, served }, index) =>
      cache.stats.pending + cache.hop.line.listeners + served.server.openCalls > 0
        ? [
            `node ${index}: ${cache.stats.pending} pending, ${cache.hop.line.listeners} listeners, ${served.server.openCalls} calls`,
          ]
        : [],
    );
    for (const { harness } of this.nodes) await harness[Symbol.asyncDispose]();
    if (left.length > 0) throw new Error(left.join('; '));
  }

  #open(index: number): { cache: Cache<Doc>; link: ClientTransport | undefined } {
    const { owner, relays, storeOf, wrap } = this.#options;
    const { clock } = this;
    const store = storeOf?.(index);
    if (index === 0) {
      const load = async (key: string) => {
        this.loads += 1;
        const n = this.truth.get(key) ?? 0;
        await this.beforeLoaded();
        return { n };
      };
      return { cache: createCache<Doc>({ load, store, ...owner, clock }), link: undefined };
    }
    const link = this.node(index - 1).harness.client({ extensions: allExtensions }, `node-${index}`);
    const { docs } = createClient<DocServices>(link);
    return { cache: relayCache(wrap?.(docs, index) ?? docs, { ...relays, store, clock }), link };
  }

  #serve(cache: Cache<Doc>, harness: Harness): Served {
    const services = docServices(cache, this.#options.authorize);
    const transport = harness.server({ extensions: allExtensions });
    return { services, transport, server: createServer(transport, services) };
  }
}
