import { HoldfastError } from '../../../../../transport/errors.ts';
import type { Watch } from '../../../../../watch/watchCore.ts';
import type { KeyWatchers } from '../../../../../watch/watchKeys.ts';
import type { Loaded } from '../../../../../watch/watchModes.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import type { BoardEvent, BoardName, LoadedBoard } from './board.ts';
import { at, LOAD_TIMEOUT_MS, REACHED_CODES, REACHED_TIMEOUT_MS } from './boardWatch.ts';
import type { BoardAccess } from './services.ts';

/** What one key of a board holds. */
export interface KeyMarks {
  readonly run: number;
  readonly mark: number;
}

/** What one watch of a key is made with. */
export interface KeyWatchOptions {
  readonly board: BoardName;
  readonly key: string;
  readonly kind: 'deltas' | 'notification';
  readonly resyncMs: number;
}

/** One watch of a key that shares a subscription with others, until it is disposed of: nothing of it happens after that. */
export class KeyWatch {
  readonly options: KeyWatchOptions;
  readonly watch: Watch<KeyMarks>;
  readonly #context: ChainContext;
  readonly #access: BoardAccess;
  #seen: KeyMarks | undefined;
  #isOver = false;
  waiting = 0;

  constructor(context: ChainContext, access: BoardAccess, group: KeyWatchers<BoardEvent>, options: KeyWatchOptions) {
    this.options = options;
    this.#context = context;
    this.#access = access;
    const { key, kind, resyncMs } = options;
    const common = { resyncMs, loadTimeoutMs: LOAD_TIMEOUT_MS };
    this.watch =
      kind === 'notification'
        ? group.watch(key, { ...common, load: async ({ signal }) => (await this.#load(signal)).value })
        : group.watch<KeyMarks>(key, {
            ...common,
            load: ({ signal }) => this.#load(signal),
            apply: (value, event) => this.#apply(value, event),
          });
    this.watch.onChange(() => this.#onChange());
  }

  async reach({ value: { run, marks }, position }: LoadedBoard): Promise<void> {
    const least = marks[this.options.key] ?? 0;
    this.waiting += 1;
    try {
      await this.watch.reached(position, { timeoutMs: REACHED_TIMEOUT_MS });
      const { value } = this.watch;
      if (value === undefined || value.run < run || (value.run === run && value.mark < least))
        this.#fail(`reached mark ${least} of history ${run} with ${shown(value)}`);
    } catch (error) {
      const code = error instanceof HoldfastError ? error.code : String(error);
      if (!REACHED_CODES.includes(code)) this.#fail(`waiting for a position ended with ${code}`);
    } finally {
      this.waiting -= 1;
    }
  }

  /** What is wrong when everything should have arrived, if anything. */
  behind({ value: { run, marks }, position: owner }: LoadedBoard): string | undefined {
    const { value, state, position } = this.watch;
    const { key, kind } = this.options;
    if (state !== 'live') return `${this.#name} is ${state}: ${String(this.watch.error)}`;
    if (kind === 'deltas' && (position?.epoch !== owner.epoch || position.offset !== owner.offset))
      return `${this.#name} stands at ${at(position)}, its owner at ${at(owner)}`;
    if (value?.run === run && value.mark === (marks[key] ?? 0)) return undefined;
    return `${this.#name} has ${shown(value)}, its owner mark ${marks[key]} of history ${run}`;
  }

  dispose(): void {
    this.watch.dispose();
    this.#isOver = true;
  }

  get #name(): string {
    const { board, key, kind } = this.options;
    return `key ${key} of ${board}, ${kind},`;
  }

  async #load(signal: AbortSignal): Promise<Loaded<KeyMarks>> {
    this.#expectGoingOn('loads');
    const { value, position } = await this.#access.load({ signal });
    return { value: { run: value.run, mark: value.marks[this.options.key] ?? 0 }, position };
  }

  /** Invariant 13, event by event. */
  #apply(value: KeyMarks, { run, key, mark }: BoardEvent): KeyMarks {
    this.#expectGoingOn('is told of an event');
    if (key !== this.options.key) this.#fail(`was told of ${key}`);
    else if (run !== value.run || mark !== value.mark + 1)
      this.#fail(`mark ${mark} of history ${run} came into ${shown(value)}`);
    return { run, mark };
  }

  #onChange(): void {
    this.#expectGoingOn('changes');
    const { value } = this.watch;
    const last = this.#seen;
    if (value === undefined || value === last) return;
    this.#seen = value;
    if (last !== undefined && (value.run < last.run || (value.run === last.run && value.mark < last.mark)))
      this.#fail(`went back from ${shown(last)} to ${shown(value)}`);
  }

  #expectGoingOn(what: string): void {
    if (this.#isOver) this.#fail(`${what} after it was disposed of`);
  }

  #fail(message: string): void {
    this.#context.fail('13', `${this.#name} ${message}`);
  }
}

function shown(value: KeyMarks | undefined): string {
  return value === undefined ? 'no value' : `mark ${value.mark} of history ${value.run}`;
}
