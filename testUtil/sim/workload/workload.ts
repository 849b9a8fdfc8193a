import type { ClientTransport } from '../../../transport/client.ts';
import type { Clock } from '../../../transport/clock.ts';
import type { ServerTransport } from '../../../transport/server.ts';
import type { SessionWitness } from '../oracle/sessionWitness.ts';

/** What a simulated program is given. It must take time, timers and randomness from here and from nowhere else. */
export interface ProgramContext {
  /** The process's time, timers, randomness and ids. */
  readonly clock: Clock;
  /** False once the workload should come to rest: nothing new is begun then. */
  readonly isBusy: () => boolean;
  /** Told what the program sees, where the program wants to be judged by the built-in invariants. */
  readonly witness: SessionWitness;
  /** A number that no other message of the run has. */
  readonly nextTag: () => number;
  /** Something that the program promises does not hold: the run fails. */
  readonly fail: (invariant: string, message: string) => void;
  /** Adds a line to the trace. */
  readonly note: (what: string) => void;
}

/** What the server's program is given. */
export interface ServerContext extends ProgramContext {
  readonly transport: ServerTransport;
}

/** What a client's program is given. */
export interface ClientContext extends ProgramContext {
  readonly transport: ClientTransport;
  /** Whom to call. */
  readonly serverId: string;
}

/** A program that runs. */
export interface RunningProgram {
  /** Called when the faults are over and everything should have arrived: says what has not. */
  readonly unfinished?: (() => string | undefined) | undefined;
  /** Called after that: does something small, which must arrive soon. */
  readonly probe?: (() => void) | undefined;
  /** Called when everything is closed: says what is left. */
  readonly leftovers?: (() => string | undefined) | undefined;
  /** Called before the transport is closed. */
  readonly close?: (() => void) | undefined;
}

/**
 * The two programs of a run. They are started anew for every process, also for a copy that lives through an earlier life:
 * whatever they remember lies in what `start…` makes, never in the workload itself.
 */
export interface Workload {
  readonly name: string;
  startServer(context: ServerContext): RunningProgram;
  startClient(context: ClientContext): RunningProgram;
}
