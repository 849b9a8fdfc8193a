import type { Remains } from '../stream.ts';
import type { StreamFlow } from './streamFlow.ts';

/** Hears by how much what is held has changed: unread messages, and inits and last values. */
type OnChange = (unreadBytes: number, pinnedBytes: number) => void;

/** A handler that waits for ever, and that nobody refers to, holds nothing and never says so. */
const unreachable = new FinalizationRegistry<Account>((account) => account.settle());

/** Apart from whoever holds them: it must not keep them reachable. */
class Account {
  #unreadBytes: number;
  #pinnedBytes: number;
  readonly #onChange: OnChange;

  constructor({ heldBytes, pinnedBytes }: StreamFlow, onChange: OnChange) {
    this.#unreadBytes = heldBytes;
    this.#pinnedBytes = pinnedBytes;
    this.#onChange = onChange;
    onChange(heldBytes, pinnedBytes);
  }

  /** @param share of what is unread */
  read(share: number): void {
    const bytes = share >= 1 ? this.#unreadBytes : Math.floor(this.#unreadBytes * share);
    this.#unreadBytes -= bytes;
    this.#onChange(-bytes, 0);
  }

  settle(): void {
    const [unread, pinned] = [this.#unreadBytes, this.#pinnedBytes];
    this.#unreadBytes = 0;
    this.#pinnedBytes = 0;
    this.#onChange(-unread, -pinned);
  }
}

/** What came on a stream whose call has ended, for as long as somebody may read it. */
export class HeldRemains implements Remains {
  readonly #account: Account;
  #unreadCost: number;

  /** @param onChange is told of all of it at once, and then of less and less */
  constructor(flow: StreamFlow, onChange: OnChange) {
    this.#account = new Account(flow, onChange);
    this.#unreadCost = flow.heldCost;
    unreachable.register(this, this.#account, this);
  }

  consumed(cost: number): void {
    if (this.#unreadCost > 0) this.#account.read(cost / this.#unreadCost);
    this.#unreadCost = Math.max(0, this.#unreadCost - cost);
  }

  release(): void {
    unreachable.unregister(this);
    this.#account.settle();
  }
}
