import type { Input } from './eventHeap.ts';
import type { Host } from './host.ts';

/** One input that a process got, so that a copy can get it too. */
export interface JournalEntry {
  readonly at: number;
  readonly input: Input;
  turns: number;
  /** Its program has sent something meanwhile. */
  hasSent: boolean;
  /** The process that took it first: copies of copies keep it. */
  readonly taker: number;
}

/** How a process reaches others. */
export interface Uplink {
  /** Starts the dial with number `index` of a process; returns how to abandon it. */
  dial(host: Host, index: number, to: string): () => void;
}

/** Remembers what one image of a process did and was told. */
export interface HostWitness {
  connectionOpened(index: number): void;
  frameSent(index: number, frame: Uint8Array): void;
  /** Called before the process sees the frame. */
  frameArrives(index: number, frame: Uint8Array): void;
  /** `isTold`: the process hears it from outside, which it does after this; otherwise it has closed it. */
  connectionEnds(index: number, isTold: boolean): void;
  dialStarted(): void;
}

/** What makes a process. */
export interface HostOptions {
  readonly name: string;
  /** Of the process's own randomness: equal seeds are equal images. */
  readonly seed: number;
  readonly uplink: Uplink;
  /** True where a copy of an earlier state will be wanted. */
  readonly keepsJournal: boolean;
}
