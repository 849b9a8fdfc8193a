import type { ConsumerRecord } from '../../../../../consume/record.ts';
import type { BoardEvent } from '../watching/board.ts';

/** The last effect of a consumer. */
export interface LastEffect {
  readonly run: number;
  readonly n: number;
  /** Gaps that had been recorded by then. */
  readonly gaps: number;
}

/** What is said of an effect that must not follow the last one; undefined if it may. */
export function faultOfOrder(
  last: LastEffect | undefined,
  { run, n }: BoardEvent,
  record: ConsumerRecord | undefined,
  mayRepeat: boolean,
): string | undefined {
  if (last === undefined) return undefined;
  const isNext = run === last.run && (mayRepeat ? n <= last.n + 1 : n === last.n + 1);
  if (isNext || (record?.gaps ?? 0) > last.gaps) return undefined;
  return `event ${n} of history ${run} came after event ${last.n} of history ${last.run}, and no gap is recorded`;
}

/** Effects that no disk can take back: what consumers did in the world outside of a process. */
export class OutsideWorld {
  readonly #times = new Map<string, number>();
  #last: LastEffect | undefined;

  get last(): LastEffect | undefined {
    return this.#last;
  }

  /** @returns how often this has happened now */
  happens({ run, n }: BoardEvent, gaps: number): number {
    const key = `${run} ${n}`;
    const times = (this.#times.get(key) ?? 0) + 1;
    this.#times.set(key, times);
    this.#last = { run, n, gaps };
    return times;
  }

  /** The disk beside it was restored: what happens from here on, nobody can compare with what happened before. */
  forget(): void {
    this.#times.clear();
    this.#last = undefined;
  }
}
