import type { TopicClient } from '../../../../../watch/attempt.ts';
import { type MirrorTopicOptions, mirrorTopic, type TopicMirror } from '../../../../../watch/mirrorTopic.ts';
import type { Position } from '../../../../../watch/position.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import { CountedSource } from '../countedSource.ts';
import type { BoardEvent, LoadedBoard } from './board.ts';
import { type BoardRelay, faultOfHead } from './relay.ts';

/** What is read of a mirror at once. */
const BATCH = 50;

/** A board passed on by `mirrorTopic`, whose every event is looked at: each follows the one before it, or a gap is told. */
export class MirrorRelay implements BoardRelay {
  readonly mirror: TopicMirror<BoardEvent>;
  readonly source: CountedSource<BoardEvent>;
  readonly #context: ChainContext;
  readonly #stopReading: () => void;
  #read: Position | undefined;
  #last: BoardEvent | undefined;

  constructor(context: ChainContext, client: TopicClient<BoardEvent>, options: MirrorTopicOptions) {
    this.#context = context;
    this.mirror = mirrorTopic(client, { ...options, clock: context.clock });
    this.source = new CountedSource<BoardEvent>(this.mirror);
    this.#stopReading = this.source.onAppend(() => this.#onAppend());
  }

  stop(): void {
    this.#stopReading();
  }

  close(): void {
    this.mirror.close();
  }

  behind({ position }: LoadedBoard): string | undefined {
    const { state } = this.mirror;
    return state === 'live' ? faultOfHead(this.mirror.head(), position) : `its mirror is ${state}`;
  }

  #onAppend(): void {
    for (;;) {
      const outcome = this.mirror.read(this.#read, BATCH);
      if (outcome.kind === 'gap') {
        if (this.#read !== undefined) this.#context.did('gaps of a mirror');
        this.#read = outcome.head;
        this.#last = undefined;
        return;
      }
      const read = outcome.events.at(-1);
      if (read === undefined) return;
      this.#read = read.position;
      for (const { event } of outcome.events) this.#take(event);
    }
  }

  /** Invariant 13. */
  #take(event: BoardEvent): void {
    const last = this.#last;
    this.#last = event;
    this.#context.did('events that came through a mirror');
    if (last === undefined || (event.run === last.run && event.n === last.n + 1)) return;
    const [was, is] = [last, event].map(({ run, n }) => `event ${n} of history ${run}`);
    this.#context.fail('13', `its mirror has ${is} after ${was}, and told no gap`);
  }
}
