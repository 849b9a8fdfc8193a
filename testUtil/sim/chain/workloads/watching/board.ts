import { type Static, Type } from '@sinclair/typebox';
import type { LocalSource } from '../../../../../watch/localSource.ts';
import { type Position, PositionSchema } from '../../../../../watch/position.ts';
import { createTopic, type Topic } from '../../../../../watch/topic.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import type { DiskTable } from '../../disk.ts';
import { DiskTopicStore } from '../../diskTopicStore.ts';
import { CountedSource } from '../countedSource.ts';

/** What is on a board: how often each key was marked, in one history of it. */
export const BoardValue = Type.Object({
  /** Names the history; later ones have higher numbers. */
  run: Type.Integer(),
  /** Events of the history that are in it. */
  n: Type.Integer(),
  /** How often each key was marked. */
  marks: Type.Record(Type.String(), Type.Integer()),
});
export type BoardValue = Static<typeof BoardValue>;

/** A key is marked: the `n`-th event of its history, and the `mark`-th of its key. */
export const BoardEvent = Type.Object({
  run: Type.Integer(),
  n: Type.Integer(),
  key: Type.String(),
  mark: Type.Integer(),
});
export type BoardEvent = Static<typeof BoardEvent>;

/** A value, and how much of the history is in it. */
export const LoadedBoard = Type.Object({ value: BoardValue, position: PositionSchema });
export type LoadedBoard = Static<typeof LoadedBoard>;

export const boardKeys = ['a', 'b', 'c', 'd', 'e'] as const;

/** Short: whoever is away for a moment finds a gap. */
const KEPT_EVENTS = 30;

/** A value and the topic of its changes, as their owner has them. */
export class Board {
  readonly source: CountedSource<BoardEvent>;
  readonly #context: ChainContext;
  readonly #topic: Topic<BoardEvent>;
  /** On disk with the topic, in one transaction; undefined for a board that is forgotten with its process. */
  readonly #stored: DiskTable<BoardValue> | undefined;
  #value: BoardValue;

  constructor(context: ChainContext, name: string, isDurable: boolean) {
    const { disk, clock } = context;
    this.#context = context;
    const store = isDurable ? new DiskTopicStore(disk, name, clock) : undefined;
    this.#stored = isDurable ? disk.table(`board ${name}`) : undefined;
    const known = this.#stored?.get('');
    const isRestored = isDurable && disk.isRestored;
    this.#value =
      known === undefined || isRestored ? { run: context.nextTag(), n: 0, marks: known?.marks ?? {} } : known;
    disk.transaction(() => {
      if (isRestored) store?.beginAnew(clock);
      this.#stored?.set('', this.#value);
      if (isDurable) disk.setRestored(false);
    });
    this.#topic = createTopic({ event: BoardEvent, store, keep: { events: KEPT_EVENTS }, clock });
    this.source = new CountedSource<BoardEvent>(this.#topic);
  }

  get value(): BoardValue {
    return this.#stored?.get('') ?? this.#value;
  }

  loaded(): LoadedBoard {
    return { value: this.value, position: this.#topic.head() };
  }

  /** Marks keys, all of them or, if the process dies, none. */
  mark(keys: readonly string[]): Position {
    const events: BoardEvent[] = [];
    let { run, n, marks } = this.value;
    for (const key of keys) {
      n += 1;
      const mark = (marks[key] ?? 0) + 1;
      marks = { ...marks, [key]: mark };
      events.push({ run, n, key, mark });
    }
    return this.#context.disk.transaction(() => {
      this.#value = { run, n, marks };
      this.#stored?.set('', this.#value);
      return this.#topic.publishAll(events);
    });
  }

  close(): void {
    this.#topic.close();
  }
}

/** Sources that a program serves, by name. */
export type Boards<B> = { readonly kept: B; readonly lost: B };
export type BoardName = keyof Boards<unknown>;
export const boardNames: readonly [BoardName, BoardName] = ['kept', 'lost'];

/** How many listeners are left. */
export function listenersOf(boards: Boards<{ readonly source: CountedSource<BoardEvent> }>): number {
  return boards.kept.source.listeners + boards.lost.source.listeners;
}

export type BoardSource = LocalSource<BoardEvent>;
