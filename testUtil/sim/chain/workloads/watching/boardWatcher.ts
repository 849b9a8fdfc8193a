import type { Random } from '../../../engine/random.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import { type BoardName, type Boards, boardNames, type LoadedBoard } from './board.ts';
import { BoardWatch, watchKinds } from './boardWatch.ts';
import type { BoardAccess } from './services.ts';

/** What watches the boards in one process. */
export interface BoardWatcher {
  /** Those that wait for a position. */
  readonly waiting: number;
  /** Waits for a position that somebody was told, and looks whether what was done there is in the values then. */
  reach(board: BoardName, told: LoadedBoard): Promise<void>;
  /** What is wrong when everything should have arrived, if anything. */
  behind(owners: Boards<LoadedBoard>): string | undefined;
  close(): void;
}

/** Makes a watcher. */
export type WatcherMaker = (context: ChainContext, boards: Boards<BoardAccess>, random: Random) => BoardWatcher;

/** Watches of both boards, in some of the ways there are. */
export class EveryWay implements BoardWatcher {
  readonly #watches: BoardWatch[] = [];

  constructor(context: ChainContext, boards: Boards<BoardAccess>, random: Random) {
    for (const board of boardNames)
      for (const kind of watchKinds) {
        const resyncMs = random.pick([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 15_000]);
        const savedAs = random.chance(0.5) ? `${board} ${kind}` : undefined;
        if (random.chance(0.6))
          this.#watches.push(new BoardWatch(context, boards[board], { board, kind, resyncMs, savedAs }));
      }
  }

  get waiting(): number {
    return this.#watches.reduce((sum, one) => sum + one.waiting, 0);
  }

  async reach(board: BoardName, told: LoadedBoard): Promise<void> {
    await Promise.all(this.#watches.filter(({ options }) => options.board === board).map((one) => one.reach(told)));
  }

  behind(owners: Boards<LoadedBoard>): string | undefined {
    for (const one of this.#watches) {
      const fault = one.behind(owners[one.options.board]);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  close(): void {
    for (const one of this.#watches) one.dispose();
  }
}
