import type { Remains } from '../stream.ts';
import type { StreamFlow } from './streamFlow.ts';

/** A handler that waits for ever, and that nobody refers to, holds nothing and never says so. */
const unreachable = new FinalizationRegistry<Account>((account) => account.settle());

/** Apart from whoever holds them: it must not keep them reachable. */
class Account {
  unreadBytes: number;
  readonly #pinnedBytes: number;
  readonly #changed: (bytes: number) => void;
  #isSettled = false;

  constructor({ heldBytes, pinnedBytes }: StreamFlow, changed: (bytes: number) => void) {
    this.unreadBytes = heldBytes;
    this.#pinnedBytes = pinnedBytes;
    this.#changed = changed;
    changed(heldBytes + pinnedBytes);
  }

  readAll(): void {
    const bytes = this.unreadBytes;
    this.unreadBytes = 0;
    if (bytes > 0) this.#changed(-bytes);
  }

  settle(): void {
    this.readAll();
    if (!this.#isSettled) this.#changed(-this.#pinnedBytes);
    this.#isSettled = true;
  }
}

/** What came on a stream whose call has ended, for as long as somebody may read it. */
export class HeldRemains implements Remains {
  readonly #account: Account;
  #unreadCost: number;

  /** @param changed hears by how much what is held has changed, at once and whenever it does */
  constructor(flow: StreamFlow, changed: (bytes: number) => void) {
    this.#account = new Account(flow, changed);
    this.#unreadCost = flow.heldCost;
    unreachable.register(this, this.#account, this);
  }

  consumed(cost: number): void {
    this.#unreadCost -= cost;
    if (this.#unreadCost <= 0) this.#account.readAll();
  }

  release(): void {
    unreachable.unregister(this);
    this.#account.settle();
  }
}
