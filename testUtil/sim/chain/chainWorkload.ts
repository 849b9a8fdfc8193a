import type { ClientTransport } from '../../../transport/client.ts';
import type { Clock } from '../../../transport/clock.ts';
import type { ServerTransport } from '../../../transport/server.ts';
import type { ChainFaultClass } from './chainFaultClasses.ts';
import type { Disk } from './disk.ts';

/** What every program of a chain is given. It must take time, timers and randomness from here and from nowhere else. */
export interface ChainContext {
  /** Of the process's place: `provider`, `service`, `leaf-1` and so on; the same after a restart. */
  readonly name: string;
  readonly clock: Clock;
  /** The only thing that survives the process. */
  readonly disk: Disk;
  /** False once the programs should come to rest: nothing new is begun then. */
  readonly isBusy: () => boolean;
  /** False for what still runs of a process that has just died: nothing it does from then on has happened. */
  readonly isAlive: () => boolean;
  /** A number that nobody else in the run gets. */
  readonly nextTag: () => number;
  /** Something that the program promises does not hold: the run fails. */
  readonly fail: (invariant: string, message: string) => void;
  /** Adds a line to the trace. */
  readonly note: (what: string) => void;
  /** Counts something that the programs did, or that was done to them: what never happens shows nothing. */
  readonly did: (deed: string) => void;
}

/** What the provider's program is given. */
export interface ProviderContext extends ChainContext {
  readonly transport: ServerTransport;
}

/** What the program in the middle is given: it serves the leaves, and is a client of the provider. */
export interface ServiceContext extends ChainContext {
  readonly transport: ServerTransport;
  readonly upstream: ClientTransport;
  readonly providerId: string;
}

/** What a leaf's program is given. */
export interface LeafContext extends ChainContext {
  readonly transport: ClientTransport;
  readonly serviceId: string;
}

/** A program that runs. */
export interface ChainProgram {
  /** Called when the faults are over and everything should have arrived: says what has not. */
  readonly unfinished?: (() => string | undefined) | undefined;
  /** Called when everything is closed: says what is left. */
  readonly leftovers?: (() => string | undefined) | undefined;
  /** Called before the transports are closed. */
  readonly close?: (() => void | Promise<void>) | undefined;
}

/** The programs of one run. What they remember lies in what `start…` makes; what the judge knows lies here. */
export interface ChainRun {
  startProvider(context: ProviderContext): ChainProgram;
  startService(context: ServiceContext): ChainProgram;
  startLeaf(context: LeafContext): ChainProgram;
  /** Called when the faults are over and everything should have arrived: compares the ends of the chain. */
  readonly expectSettled?: (() => void) | undefined;
}

/** How the judge of a run says that a promise does not hold. */
export interface ChainJudge {
  readonly fail: (invariant: string, message: string) => void;
  readonly note: (what: string) => void;
  /** As a program counts it. */
  readonly did: (deed: string) => void;
  /** Nothing goes wrong in this run: what may get lost otherwise may not here. */
  readonly isFaultless: boolean;
  /** What is on the disk of a place now. */
  readonly diskOf: (name: string) => Disk;
}

/** Three programs, and the promises that they make together. */
export interface ChainWorkload {
  readonly name: string;
  /** Classes of faults after which its promises do not hold, and need not. */
  readonly spared?: readonly ChainFaultClass[] | undefined;
  /** What its programs count: each is to happen in many of the runs. */
  readonly deeds?: readonly string[] | undefined;
  /** Milliseconds that its own retries need to come to rest, beside what sessions need. */
  readonly settleMs?: number | undefined;
  begin(judge: ChainJudge): ChainRun;
}
