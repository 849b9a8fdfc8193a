import { Type } from '@sinclair/typebox';
import type { Codec } from '../../../codec/codec.ts';
import { JsonCodec } from '../../../codec/json.ts';
import { createClient } from '../../../router/client.ts';
import { createServer, type Server } from '../../../router/server.ts';
import { createServiceSchema } from '../../../router/services.ts';
import { createHarness, type Harness } from '../../../testUtil/harness.ts';
import type { TransportName } from '../../../testUtil/links.ts';
import type { ClientTransport } from '../../../transport/client.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../../../transport/options.ts';
import type { ServerTransport } from '../../../transport/server.ts';
import type { LocalSource } from '../../../watch/localSource.ts';
import { createTopic, type Topic } from '../../../watch/topic.ts';
import { type TopicProcedureOptions, topicProcedure } from '../../../watch/topicProcedure.ts';
import { allExtensions } from '../../support/extensions.ts';

/** What happens to documents: the events of most tests. */
export const DocEvent = Type.Object({
  key: Type.String(),
  n: Type.Number(),
  text: Type.Optional(Type.String()),
});
export type DocEvent = { key: string; n: number; text?: string };

/** Options of the procedure under test; by default everybody may follow everything, by key. */
type AllOptions = TopicProcedureOptions<typeof DocEvent, object>;
export type DocProcedureOptions = { [Name in keyof AllOptions]?: AllOptions[Name] | undefined };

/** The services around a source of such events. */
export function docServices(source: LocalSource<DocEvent>, options: DocProcedureOptions = {}) {
  const changes = topicProcedure<typeof DocEvent, object>(source, {
    key: ({ key }) => key,
    ...options,
    event: DocEvent,
    authorize: options.authorize ?? (() => true),
  });
  return { docs: createServiceSchema().define({ changes }) };
}
export type DocServices = ReturnType<typeof docServices>;

/** A topic as it is served, whose listeners can be lost. */
class Forgetful implements LocalSource<DocEvent> {
  readonly #topic: Topic<DocEvent>;
  readonly #stops: (() => void)[] = [];
  constructor(topic: Topic<DocEvent>) {
    this.#topic = topic;
  }
  head = () => this.#topic.head();
  isBroken = false;
  read(...args: Parameters<LocalSource<DocEvent>['read']>) {
    if (this.isBroken) throw new Error('disk I/O error');
    return this.#topic.read(...args);
  }
  reached = (...args: Parameters<LocalSource<DocEvent>['reached']>) => this.#topic.reached(...args);
  close = () => this.#topic.close();
  onAppend(listener: () => void) {
    const stop = this.#topic.onAppend(listener);
    this.#stops.push(stop);
    return stop;
  }
  forget(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }
}

/** A server of a topic of documents, and clients of it. */
export class ServedDocs {
  readonly h: Harness;
  topic: Topic<DocEvent>;
  #source: Forgetful;
  services: DocServices;
  transport: ServerTransport;
  server: Server<DocServices>;

  constructor(h: Harness, topic: Topic<DocEvent>, options: DocProcedureOptions, limits: ServerTransportOptions = {}) {
    this.h = h;
    this.topic = topic;
    this.#source = new Forgetful(topic);
    this.services = docServices(this.#source, options);
    this.transport = h.server({ extensions: allExtensions, ...limits });
    this.server = createServer(this.transport, this.services);
  }

  client(options: ClientTransportOptions = {}, id?: string) {
    const transport: ClientTransport = this.h.client(options, id);
    return { transport, client: createClient<DocServices>(transport) };
  }

  publish(n: number, key = 'a'): number {
    return this.topic.publish({ key, n }).offset;
  }

  /** The server loses its table of watchers; sessions and calls stay as they are. */
  forgetWatchers(): void {
    this.#source.forget();
  }

  /** The topic cannot be read any more. */
  breakSource(): void {
    this.#source.isBroken = true;
  }

  /** The process of the server ends, and another takes its place: with this topic, if it is durable. */
  async restart(topic: Topic<DocEvent>, options: DocProcedureOptions = {}): Promise<void> {
    await this.stop();
    this.topic = topic;
    this.#source = new Forgetful(topic);
    this.services = docServices(this.#source, options);
    this.transport = this.h.server({ extensions: allExtensions });
    this.server = createServer(this.transport, this.services);
  }

  async stop(): Promise<void> {
    await this.server.close();
    await this.h.settled();
    this.transport.close();
    this.topic.close();
  }
}

export async function serveDocs(
  options: DocProcedureOptions & {
    transport?: TransportName;
    codec?: Codec;
    keep?: number;
    limits?: ServerTransportOptions;
  } = {},
): Promise<ServedDocs> {
  const { transport = 'memory', codec = JsonCodec, keep, limits, ...procedureOptions } = options;
  const h = await createHarness({ transport, codec });
  const topic = createTopic({ event: DocEvent, keep: { events: keep }, clock: h.clock });
  return new ServedDocs(h, topic, procedureOptions, limits);
}
