import { createClient } from '../../../../../router/client.ts';
import type { Client } from '../../../../../router/clientTypes.ts';
import { Random } from '../../../engine/random.ts';
import type { ChainProgram, LeafContext } from '../../chainWorkload.ts';
import type { DiskTable } from '../../disk.ts';
import { hops, type Order, type OrderTruth } from './orderTruth.ts';
import { keyOf, type OrderServices } from './services.ts';

const MAX_GAP_MS = 500;
const MAX_OPEN_CALLS = 12;
/** Errors after which nothing more is to be heard of an order. */
const FINAL = ['NOT_PLACED', 'OUTCOME_UNKNOWN', 'IDEMPOTENCY_UNSUPPORTED', 'CANCEL'];
/** Errors after which whoever has written it down delivers it again. */
const OPEN = ['DEADLINE_EXCEEDED', 'SESSION_BUFFER_FULL', 'UNEXPECTED_DISCONNECT'];

/** An order, and what was so when it was delivered first. */
interface Begun {
  readonly order: Order;
  readonly at: number;
  /** How often the service had begun or ended when the session began on which it was delivered. */
  readonly lives: number;
}

/** What a leaf is made with. */
export interface OrderingOptions {
  readonly truth: OrderTruth;
  /** For so long outcomes are kept. */
  readonly ttlMs: number;
  readonly isFaultless: boolean;
}

/** Places orders with keys: some once, some again and again until it knows what came of them, some keys for something else. */
export class OrderingLeaf implements ChainProgram {
  readonly #context: LeafContext;
  readonly #options: OrderingOptions;
  readonly #client: Client<OrderServices>;
  readonly #random: Random;
  /** Orders whose outcome is not known, in order of their ids. */
  readonly #booked: DiskTable<Begun>;
  readonly #placed: Begun[] = [];
  #open = 0;
  #lives: number;
  #isClosed = false;
  #stop: () => void = () => undefined;

  constructor(context: LeafContext, options: OrderingOptions) {
    this.#context = context;
    this.#options = options;
    this.#client = createClient<OrderServices>(context.transport, context.serviceId);
    this.#random = new Random(context.clock.random() * 2 ** 32);
    this.#booked = context.disk.table('booked');
    const { truth } = options;
    this.#lives = truth.livesOf('service');
    // A session outlives the process at its other end, until somebody notices.
    context.transport.addEventListener('sessionStatus', ({ status }) => {
      if (status === 'created') this.#lives = truth.livesOf('service');
    });
    this.#wait();
  }

  unfinished(): string | undefined {
    const booked = this.#booked.entries().length;
    return this.#open + booked > 0 ? `${this.#open} calls are open, ${booked} orders have no outcome` : undefined;
  }

  leftovers(): string | undefined {
    return this.#open > 0 ? `${this.#open} calls` : undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  #wait(): void {
    const { clock, isBusy } = this.#context;
    this.#stop = clock.after(this.#random.between(0, MAX_GAP_MS), () => {
      this.#wait();
      if (this.#open >= MAX_OPEN_CALLS) return;
      const booked = this.#booked.entries();
      const again = booked[this.#random.integer(0, Math.max(0, booked.length - 1))]?.[1];
      if (again !== undefined && (!isBusy() || this.#random.chance(0.4))) this.#deliver(again);
      else if (isBusy()) this.#begin();
    });
  }

  #begin(): void {
    const { clock, nextTag } = this.#context;
    const begun = { at: clock.wallNow(), lives: this.#lives };
    const known = this.#placed[this.#random.integer(0, Math.max(0, this.#placed.length - 1))];
    if (known !== undefined && this.#random.chance(0.1)) {
      this.#context.did('keys used for something else');
      // As of the first use of the key: of one before this nobody may have heard what came of it.
      return this.#deliver({ ...known, order: { ...known.order, item: `item ${nextTag()} instead` } }, true);
    }
    const id = nextTag();
    const isBooked = this.#random.chance(0.5);
    const order: Order = { id, item: `item of ${id}`, isBooked };
    if (isBooked) this.#booked.set(id, { ...begun, order });
    this.#deliver({ ...begun, order });
    // Whoever is impatient asks twice.
    if (isBooked && this.#random.chance(0.1)) this.#deliver({ ...begun, order });
  }

  #deliver(begun: Begun, isReuse = false): void {
    const { fail } = this.#context;
    this.#open += 1;
    this.#place(begun, isReuse).then(
      () => {
        this.#open -= 1;
      },
      (error: unknown) => fail('14', `an order threw: ${String(error)}`),
    );
  }

  async #place(begun: Begun, isReuse: boolean): Promise<void> {
    const { order } = begun;
    const { did, isAlive } = this.#context;
    const isPatient = this.#options.isFaultless || !this.#random.chance(0.3);
    const timeoutMs = isPatient ? 30_000 : this.#random.between(300, 8_000);
    const result = await this.#client.orders.place.rpc(order, { idempotencyKey: keyOf(order), timeoutMs });
    if (!isAlive()) return;
    const code = result.ok ? undefined : result.payload.code;
    did(code === undefined ? 'orders that were placed' : `orders that ended with ${code}`);
    const fault = result.ok
      ? this.#options.truth.faultOfPlaced(order, result.payload.item)
      : this.#faultOf(begun, result.payload.code, isReuse);
    if (fault !== undefined) this.#context.fail('14', fault);
    if (isReuse || (code !== undefined && OPEN.includes(code))) return;
    // The key of one that was booked may be needed again, by a leaf that was restored from a backup.
    if (order.isBooked) this.#booked.delete(order.id);
    else if (code === undefined) this.#placed.push(begun);
  }

  /** What is wrong with an error, if anything. */
  #faultOf({ order, at, lives }: Begun, code: string, isReuse: boolean): string | undefined {
    const { truth, ttlMs, isFaultless } = this.#options;
    const ended = `order ${order.id} ended with ${code}`;
    if (code === 'IDEMPOTENCY_KEY_REUSED') return isReuse ? undefined : ended;
    if (![...FINAL, ...OPEN].includes(code)) return ended;
    if (code === 'UNEXPECTED_DISCONNECT') return this.#isClosed ? undefined : `${ended}, and nobody closed anything`;
    if (code === 'IDEMPOTENCY_UNSUPPORTED' && hops.some((hop) => truth.timesOf(hop, order) > 0 && !order.isBooked))
      return `${ended}, and was sent all the same`;
    const isRecent = this.#context.clock.wallNow() - at < ttlMs;
    if (code === 'OUTCOME_UNKNOWN' && isRecent && truth.livesOf('service') === lives)
      return `${ended}, and the service has lived all the while`;
    return isFaultless && code !== 'IDEMPOTENCY_UNSUPPORTED' ? ended : undefined;
  }
}
