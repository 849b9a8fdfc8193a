/**
 * Runs something one at a time. A trigger during a run causes one further run, however many there are: it is never lost, since
 * that run begins after it, and a thousand of them cost no more than one.
 */
export class Trigger<T> {
  readonly #run: () => Promise<T>;
  #state: 'idle' | 'running' | 'queued' = 'idle';
  #current: Promise<T> | undefined;
  #queued: Promise<T> | undefined;

  constructor(run: () => Promise<T>) {
    this.#run = run;
  }

  /** What the run that begins after this call, or because of it, ends with. */
  fire(): Promise<T> {
    switch (this.#state) {
      case 'idle':
        this.#state = 'running';
        this.#current = this.#start();
        return this.#current;
      case 'running': {
        this.#state = 'queued';
        const next = () => this.#start();
        this.#queued = (this.#current ?? Promise.resolve()).then(next, next);
        return this.#queued;
      }
      case 'queued':
        return this.#queued ?? this.#start();
      default:
        return this.#state satisfies never;
    }
  }

  /** Resolves once nothing runs and nothing is queued. */
  async idle(): Promise<void> {
    while (this.#state !== 'idle') await Promise.allSettled([this.#current, this.#queued]);
  }

  async #start(): Promise<T> {
    if (this.#state === 'queued') {
      this.#state = 'running';
      this.#current = this.#queued;
      this.#queued = undefined;
    }
    // Whoever publishes is not to wait for the store, nor to see it fail.
    await undefined;
    try {
      return await this.#run();
    } finally {
      if (this.#state === 'running') this.#state = 'idle';
    }
  }
}
