/** What a message costs besides its bytes (PROTOCOL.md, "credit"). */
const COST_OF_MESSAGE = 64;
const OPEN_CANCEL_CLOSE = 14;

/** What one side may send on its streams, and has sent, as the frames on the links say it. */
export class Spending {
  readonly #window: number;
  readonly #limits = new Map<string, number>();
  readonly #spent = new Map<string, number>();

  /** @param window what may be sent on a stream from its start; infinite without `credit` */
  constructor(window: number) {
    this.#window = window;
  }

  /** The other side allows more. */
  allow(streamId: string, limit: number): void {
    this.#limits.set(streamId, Math.max(limit, this.#limits.get(streamId) ?? this.#window));
  }

  /**
   * A message goes for the first time.
   * @returns what is wrong with that, if anything
   */
  spend(streamId: string, flags: number, bytes: number): string | undefined {
    if ((flags & OPEN_CANCEL_CLOSE) !== 0 || !/^\d+$/.test(streamId)) return undefined;
    const spent = this.#spent.get(streamId) ?? 0;
    const limit = this.#limits.get(streamId) ?? this.#window;
    this.#spent.set(streamId, spent + bytes + COST_OF_MESSAGE);
    return spent < limit ? undefined : `sends on stream ${streamId}, where it has spent ${spent} of ${limit}`;
  }
}
