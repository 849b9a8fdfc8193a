import { type Client, createClient, unwrapOrThrow, values } from 'holdfast';
import { JsonCodec, MsgpackCodec } from 'holdfast/codec';
import type { ClientTransportOptions, SessionState } from 'holdfast/transport';
import { WebSocketClientTransport } from 'holdfast/transport/ws/client';
import { callEveryKind, type EveryKind } from '../everyKind.ts';
import type { Services } from '../services.ts';
import { inOwnTask } from './ownTask.ts';

const codecs = { json: JsonCodec, msgpack: MsgpackCodec };

/** A number goes out on every kind of call this often, in milliseconds. */
const SEND_EVERY_MS = 10;

/** A state that the session entered; `at` is the page's `performance.now()`. */
export interface Entered {
  state: SessionState;
  sessionId: string;
  at: number;
}

/** What became of the numbers that went out for as long as {@link ClientPage.startTraffic} says. */
export interface TrafficFigures {
  sent: number[];
  answers: number[];
  notes: number[];
  mirrored: number[];
  kept: number[];
  ticksSent: number;
  ticks: number[];
}

/** Calls of every kind, all the while. */
class Traffic {
  readonly #probe: Client<Services>['probe'];
  readonly #sent: number[] = [];
  readonly #answers: Promise<number>[] = [];
  readonly #ticks: number[] = [];
  readonly #ticking: Promise<void>;
  readonly #mirror;
  readonly #mirrored: Promise<number[]>;
  readonly #keep;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor({ probe }: Client<Services>) {
    this.#probe = probe;
    this.#ticking = this.#follow();
    this.#mirror = probe.mirror.stream({});
    this.#mirrored = collectNumbers(values(this.#mirror.resReadable));
    this.#keep = probe.keep.upload({});
    this.#timer = setInterval(() => this.#send(this.#sent.length), SEND_EVERY_MS);
  }

  get ticks(): number {
    return this.#ticks.length;
  }

  async #follow(): Promise<void> {
    for await (const { n } of values(this.#probe.ticks.subscribe({}).resReadable)) this.#ticks.push(n);
  }

  #send(n: number): void {
    this.#sent.push(n);
    this.#answers.push(this.#probe.note.rpc({ n }).then((result) => unwrapOrThrow(result).n));
    this.#mirror.reqWritable.write({ n });
    this.#keep.reqWritable.write({ n });
  }

  async end(): Promise<TrafficFigures> {
    clearInterval(this.#timer);
    this.#mirror.reqWritable.close();
    const { numbers: kept } = unwrapOrThrow(await this.#keep.finalize());
    const { sent: ticksSent } = unwrapOrThrow(await this.#probe.stopTicks.rpc({}));
    await this.#ticking;
    return {
      sent: this.#sent,
      answers: await Promise.all(this.#answers),
      notes: unwrapOrThrow(await this.#probe.notes.rpc({})).numbers,
      mirrored: await this.#mirrored,
      kept,
      ticksSent,
      ticks: this.#ticks,
    };
  }
}

async function collectNumbers(source: AsyncIterable<{ n: number }>): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { n } of source) numbers.push(n);
  return numbers;
}

/** Counts the calls of a timer of 10 ms until so many milliseconds have passed. */
function timerCallsWithin(ms: number): Promise<number> {
  const until = performance.now() + ms;
  return new Promise((resolve) => {
    let calls = 0;
    const timer = setInterval(() => {
      calls += 1;
      if (performance.now() < until) return;
      clearInterval(timer);
      resolve(calls);
    }, 10);
  });
}

/** A page that does what a test tells it to. */
class ClientPage {
  readonly entered: Entered[] = [];
  /** Why sessions ended, oldest first. */
  readonly ends: string[] = [];
  /** When the browser said that the network is back, by the page's `performance.now()`. */
  readonly onlineAt: number[] = [];
  /** The same of the page becoming visible. */
  readonly visibleAt: number[] = [];
  readonly timerCallsWithin = timerCallsWithin;
  #transport: WebSocketClientTransport | undefined;
  #client: Client<Services> | undefined;
  #traffic: Traffic | undefined;

  constructor() {
    addEventListener('online', () => this.onlineAt.push(performance.now()));
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.visibleAt.push(performance.now());
    });
  }

  connect(url: string, codec: keyof typeof codecs, options: Omit<ClientTransportOptions, 'codec'>): Promise<void> {
    return inOwnTask(() => this.#connect(url, codec, options));
  }

  #connect(url: string, codec: keyof typeof codecs, options: Omit<ClientTransportOptions, 'codec'>): void {
    const transport = new WebSocketClientTransport(() => new WebSocket(url), undefined, {
      ...options,
      codec: codecs[codec],
    });
    transport.addEventListener('sessionTransition', ({ state, id }) =>
      this.entered.push({ state, sessionId: id, at: performance.now() }),
    );
    transport.addEventListener('sessionStatus', (event) => {
      if (event.status === 'closed') this.ends.push(event.end.code);
    });
    this.#transport = transport;
    this.#client = createClient<Services>(transport);
  }

  get clientId(): string {
    return this.#transport?.clientId ?? '';
  }

  get #connected(): Client<Services> {
    if (this.#client === undefined) throw new Error('this page was not told to connect');
    return this.#client;
  }

  callEveryKind(): Promise<EveryKind> {
    return inOwnTask(() => callEveryKind(this.#connected));
  }

  double(n: number): Promise<number> {
    return inOwnTask(async () => unwrapOrThrow(await this.#connected.probe.double.rpc({ n })).n);
  }

  startTraffic(): Promise<void> {
    return inOwnTask(() => {
      this.#traffic = new Traffic(this.#connected);
    });
  }

  /** How many ticks of the subscription have arrived. */
  get ticks(): number {
    return this.#traffic?.ticks ?? 0;
  }

  endTraffic(): Promise<TrafficFigures> {
    const traffic = this.#traffic;
    if (traffic === undefined) throw new Error('there is no traffic');
    return inOwnTask(() => traffic.end());
  }
}

declare global {
  /** Of the page `client` only. */
  var clientPage: ClientPage;
}

globalThis.clientPage = new ClientPage();
