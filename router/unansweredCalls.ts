import type { ClientTransport } from '../transport/client.ts';
import type { Clock } from '../transport/clock.ts';
import { type FirstAttempt, knownForMs } from '../transport/message.ts';

/** So many are remembered, then the oldest is not any more. */
export const MAX_UNANSWERED = 1_000;

/**
 * The keyed calls of a transport that were sent and of which nobody heard what came: given up, or ended with their
 * session. Whoever makes one again with its key repeats it, and a server that lost its memory meanwhile can tell.
 */
export class UnansweredCalls {
  readonly #clock: Clock;
  /** By name, the oldest first. */
  readonly #attempts = new Map<string, FirstAttempt>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#attempts.size;
  }

  /** The first attempt of a call, as long as a server keeps what came of it. */
  recall(name: string): FirstAttempt | undefined {
    const first = this.#attempts.get(name);
    if (first === undefined || knownForMs(first, this.#clock) > 0) return first;
    this.#attempts.delete(name);
    return undefined;
  }

  /** Of two attempts of a call the earlier one counts. */
  remember(name: string, first: FirstAttempt): void {
    if (this.recall(name) !== undefined) return;
    for (const oldest of this.#attempts.keys()) {
      if (this.#attempts.size < MAX_UNANSWERED) break;
      this.#attempts.delete(oldest);
    }
    this.#attempts.set(name, first);
  }

  /** It is known what came of it. */
  forget(name: string): void {
    this.#attempts.delete(name);
  }
}

const known = new WeakMap<ClientTransport, UnansweredCalls>();

/** Of all clients on a transport. */
export function unansweredCallsOf(transport: ClientTransport): UnansweredCalls {
  let calls = known.get(transport);
  if (calls === undefined) {
    calls = new UnansweredCalls(transport.clock);
    known.set(transport, calls);
  }
  return calls;
}
