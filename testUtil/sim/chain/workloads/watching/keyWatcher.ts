import { type KeyWatchers, watchKeys } from '../../../../../watch/watchKeys.ts';
import type { Random } from '../../../engine/random.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import { type BoardEvent, type BoardName, type Boards, boardKeys, boardNames, type LoadedBoard } from './board.ts';
import type { BoardWatcher } from './boardWatcher.ts';
import { KeyWatch } from './keyWatch.ts';
import type { BoardAccess } from './services.ts';

/** Between two changes of what is watched, at most. */
const MAX_GAP_MS = 3_000;
const MOST_WATCHES = 8;

/** Watches of keys, which come and go whatever happens, over one subscription of each board. */
export class KeyWatcher implements BoardWatcher {
  readonly #context: ChainContext;
  readonly #boards: Boards<BoardAccess>;
  readonly #random: Random;
  readonly #groups: Boards<KeyWatchers<BoardEvent>>;
  /** Those that are not disposed of. */
  #watches: KeyWatch[] = [];
  #waiting = 0;
  #stop: () => void = () => undefined;

  constructor(context: ChainContext, boards: Boards<BoardAccess>, random: Random) {
    const { clock } = context;
    this.#context = context;
    this.#boards = boards;
    this.#random = random;
    const group = (board: BoardName) => watchKeys<BoardEvent>(boards[board].changes, { key: ({ key }) => key, clock });
    this.#groups = { kept: group('kept'), lost: group('lost') };
    this.#add();
    this.#wait();
  }

  get waiting(): number {
    return this.#waiting;
  }

  async reach(board: BoardName, told: LoadedBoard): Promise<void> {
    const watches = this.#watches.filter(({ options }) => options.board === board);
    this.#waiting += 1;
    await Promise.all(watches.map((one) => one.reach(told)));
    this.#waiting -= 1;
  }

  behind(owners: Boards<LoadedBoard>): string | undefined {
    for (const one of this.#watches) {
      const fault = one.behind(owners[one.options.board]);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  close(): void {
    this.#stop();
    for (const board of boardNames) this.#groups[board].dispose();
    for (const { watch } of this.#watches)
      if (watch.state !== 'closed') this.#context.fail('13', `a key of a group that was disposed of is ${watch.state}`);
  }

  #wait(): void {
    const { clock, isBusy } = this.#context;
    this.#stop = clock.after(this.#random.between(0, MAX_GAP_MS), () => {
      if (!isBusy()) return;
      // Several in one turn make one subscription.
      for (let i = this.#random.integer(1, 3); i > 0; i--) {
        if (this.#random.chance(this.#watches.length / MOST_WATCHES)) this.#remove();
        else this.#add();
      }
      this.#wait();
    });
  }

  #add(): void {
    const { did } = this.#context;
    const board = this.#random.pick(boardNames);
    const key = this.#random.pick(boardKeys);
    const kind = this.#random.pick(['deltas', 'deltas', 'notification'] as const);
    const resyncMs = this.#random.pick([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 8_000]);
    const others = this.#watches.filter(({ options }) => options.board === board);
    did('keys added');
    if (others.some(({ watch }) => watch.state === 'stale')) did('keys added while the subscription was lost');
    this.#watches.push(
      new KeyWatch(this.#context, this.#boards[board], this.#groups[board], { board, key, kind, resyncMs }),
    );
  }

  #remove(): void {
    const one = this.#watches[this.#random.integer(0, this.#watches.length - 1)];
    if (one === undefined) return;
    this.#context.did(one.watch.state === 'live' ? 'keys removed' : 'keys removed that were not live');
    one.dispose();
    this.#watches = this.#watches.filter((other) => other !== one);
  }
}
