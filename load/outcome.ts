import type { Series } from './recorder.ts';

/** One figure of a scenario. */
export interface Figure {
  scenario: string;
  name: string;
  /** As it is printed, with its unit. */
  measured: string;
  /** As it is printed; empty where there is none. */
  limit: string;
  /** Undefined: there is no limit. */
  ok?: boolean;
}

/** What a scenario found: its figures, and what its plot shows. */
export interface Outcome {
  figures: Figure[];
  series: Record<string, Series>;
}

/** What scenarios are told. */
export interface Conditions {
  /** Clients at a time. */
  sessions: number;
  /** Reconnects of the one session. */
  reconnects: number;
  /** Cores to pin the server and the clients to; undefined: not pinned. */
  serverCore: number | undefined;
  clientCore: number | undefined;
  /** A folder for files of this run. */
  folder: string;
  /** Says what is going on. */
  say: (line: string) => void;
}

/** Collects the figures of one scenario. */
export class Figures {
  readonly list: Figure[] = [];
  readonly #scenario: string;

  constructor(scenario: string) {
    this.#scenario = scenario;
  }

  /** A figure without a limit. */
  note(name: string, measured: string): void {
    this.list.push({ scenario: this.#scenario, name, measured, limit: '' });
  }

  /** Where `isMeaningful` is false, the run is too small: the limit is named and nothing is judged. */
  judgeIf(isMeaningful: boolean, name: string, measured: string, limit: string, ok: boolean): void {
    if (isMeaningful) this.judge(name, measured, limit, ok);
    else this.list.push({ scenario: this.#scenario, name, measured, limit: `${limit}; too small a run to judge` });
  }

  judge(name: string, measured: string, limit: string, ok: boolean): void {
    this.list.push({ scenario: this.#scenario, name, measured, limit, ok });
  }

  /** Must be nothing but this. */
  exactly(name: string, measured: number, expected: number): void {
    this.judge(name, integer(measured), integer(expected), measured === expected);
  }

  /** Must not be above. `measured` undefined: it did not come to it. */
  atMost(name: string, measured: number | undefined, limit: number, print: (value: number) => string): void {
    const isOk = measured !== undefined && measured <= limit;
    this.judge(name, measured === undefined ? 'never' : print(measured), `≤ ${print(limit)}`, isOk);
  }
}

/** 10 000, and not 10,000 or 10.000. */
export function integer(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ' ');
}

/** With its unit. */
export const milliseconds = (ms: number): string => `${ms.toFixed(2)} ms`;
/** From milliseconds. */
export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;
/** From bytes, of which a MB has a million. */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
/** With its unit. */
export const bytes = (value: number): string => `${integer(value)} B`;
export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
