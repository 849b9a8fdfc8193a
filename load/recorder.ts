import { wallMs } from './waiting.ts';

/** A figure over time: milliseconds since the beginning, and the value. */
export type Series = [x: number, y: number][];

/** Looks at a figure ten times a second, from now until it is stopped. */
export class Recorder {
  readonly series: Series = [];
  readonly startedAt = wallMs();
  readonly #look: () => number;
  readonly #timer: NodeJS.Timeout;

  constructor(look: () => number) {
    this.#look = look;
    this.#record();
    this.#timer = setInterval(() => this.#record(), 100);
  }

  stop(): Series {
    clearInterval(this.#timer);
    this.#record();
    return this.series;
  }

  #record(): void {
    this.series.push([Math.round(wallMs() - this.startedAt), this.#look()]);
  }
}
