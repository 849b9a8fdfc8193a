import type { Clock } from '../../../../../router/index.ts';
import { HoldfastError } from '../../../../../transport/errors.ts';
import type { Position } from '../../../../../watch/position.ts';
import { watch } from '../../../../../watch/watch.ts';
import type { Watch } from '../../../../../watch/watchCore.ts';
import type { Loaded } from '../../../../../watch/watchModes.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import type { BoardEvent, BoardName, BoardValue, LoadedBoard } from './board.ts';
import type { BoardAccess } from './services.ts';

/** How a board is watched: event by event, event by event of some keys, or by loading whatever happens. */
export const watchKinds = ['deltas', 'keys', 'notification'] as const;
export type WatchKind = (typeof watchKinds)[number];

export const watchedKeys = ['a', 'b'] as const;

/** What waiting for a position may end with. */
export const REACHED_CODES = ['REACHED_TIMEOUT', 'OTHER_EPOCH', 'WATCH_CLOSED'];
export const LOAD_TIMEOUT_MS = 5_000;
export const REACHED_TIMEOUT_MS = 10_000;

/** What one watch is made with. */
export interface BoardWatchOptions {
  readonly board: BoardName;
  readonly kind: WatchKind;
  /** Infinity for never: then nothing heals by itself what was forgotten. */
  readonly resyncMs: number;
  /** Kept on the disk under this name, where it has one. */
  readonly savedAs: string | undefined;
}

/** One watch of a board, whose every step is judged by what an owner of the board would say. */
export class BoardWatch {
  readonly name: string;
  readonly options: BoardWatchOptions;
  readonly watch: Watch<BoardValue>;
  readonly #context: ChainContext;
  readonly #access: BoardAccess;
  readonly #saved;
  #seen: BoardValue | undefined;
  /** Those that wait for a position. */
  waiting = 0;

  constructor(context: ChainContext, access: BoardAccess, options: BoardWatchOptions) {
    this.name = `${options.board}, ${options.kind}`;
    this.options = options;
    this.#context = context;
    this.#access = access;
    this.#saved = context.disk.table<Loaded<BoardValue>>('saved');
    this.watch = this.#begin(context.clock);
    this.#onChange();
    this.watch.onChange(() => this.#onChange());
  }

  /** Waits for a position that somebody was told, and looks whether what was done there is in the value then. */
  async reach({ value: { run, n }, position }: LoadedBoard): Promise<void> {
    this.waiting += 1;
    try {
      await this.watch.reached(position, { timeoutMs: REACHED_TIMEOUT_MS });
      const { value } = this.watch;
      const isThere = value !== undefined && (value.run > run || (value.run === run && this.#holds(value, n)));
      if (!isThere) this.#fail(`reached ${n} of history ${run} with ${shown(value)}`);
    } catch (error) {
      const code = error instanceof HoldfastError ? error.code : String(error);
      if (!REACHED_CODES.includes(code)) this.#fail(`waiting for a position ended with ${code}`);
    } finally {
      this.waiting -= 1;
    }
  }

  /** What is wrong when everything should have arrived, if anything. */
  behind(owner: LoadedBoard): string | undefined {
    const { value, position, state } = this.watch;
    if (state !== 'live') return `${this.name}: is ${state}: ${String(this.watch.error)}`;
    const isSame = position?.epoch === owner.position.epoch && position.offset === owner.position.offset;
    if (!isSame) return `${this.name}: stands at ${at(position)}, its owner at ${at(owner.position)}`;
    const keys = this.options.kind === 'keys' ? watchedKeys : Object.keys(owner.value.marks);
    for (const key of keys)
      if (value?.marks[key] !== owner.value.marks[key])
        return `${this.name}: has ${value?.marks[key]} marks of ${key}, its owner ${owner.value.marks[key]}`;
    return undefined;
  }

  dispose(): void {
    this.watch.dispose();
  }

  #begin(clock: Clock): Watch<BoardValue> {
    const { kind, resyncMs, savedAs } = this.options;
    const source = this.#access.changes;
    const common = { clock, resyncMs, loadTimeoutMs: LOAD_TIMEOUT_MS };
    if (kind === 'notification') {
      const load = async ({ signal }: { signal: AbortSignal }) => (await this.#access.load({ signal })).value;
      return watch<BoardEvent, BoardValue>(source, { ...common, load });
    }
    return watch<BoardEvent, BoardValue>(source, {
      ...common,
      keys: kind === 'keys' ? watchedKeys : undefined,
      key: ({ key }) => key,
      since: savedAs === undefined ? undefined : this.#saved.get(savedAs),
      load: ({ signal }) => this.#access.load({ signal }),
      apply: (value, event) => this.#apply(value, event),
    });
  }

  /** Invariant 13, event by event. */
  #apply(value: BoardValue, event: BoardEvent): BoardValue {
    const { run, n, key, mark } = event;
    const isFiltered = this.options.kind === 'keys';
    if (run !== value.run) this.#fail(`an event of history ${run} came into ${shown(value)}`);
    else if (!isFiltered && n !== value.n + 1) this.#fail(`event ${n} came into ${shown(value)}`);
    else if (mark !== (value.marks[key] ?? 0) + 1) this.#fail(`mark ${mark} of ${key} came into ${shown(value)}`);
    return { run, n, marks: { ...value.marks, [key]: mark } };
  }

  /** What is in a filtered value shows in the marks of its keys alone, and the number of events may be behind. */
  #holds(value: BoardValue, n: number): boolean {
    return this.options.kind === 'keys' || value.n >= n;
  }

  #onChange(): void {
    const { value, position } = this.watch;
    if (value === undefined || value === this.#seen) return;
    const last = this.#seen;
    this.#seen = value;
    if (last !== undefined && (value.run < last.run || (value.run === last.run && value.n < last.n)))
      this.#fail(`went back from ${shown(last)} to ${shown(value)}`);
    if (this.options.savedAs !== undefined && position !== undefined)
      this.#saved.set(this.options.savedAs, { value, position });
  }

  #fail(message: string): void {
    this.#context.fail('13', `${this.name}: ${message}`);
  }
}

function shown(value: BoardValue | undefined): string {
  return value === undefined ? 'no value' : `${value.n} of history ${value.run}`;
}

export function at(position: Position | undefined): string {
  return position === undefined ? 'nothing' : `${position.offset} of epoch ${position.epoch}`;
}
