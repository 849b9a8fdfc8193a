import type { CancelTimer } from './clock.ts';
import type { TimerWheel } from './wheel.ts';

/** One client id that churns through sessions must not fill the memory with them. */
const MAX_PER_CLIENT = 16;

interface Tombstone {
  principal: string | undefined;
  cancel: CancelTimer;
}

/**
 * Sessions that another session of their client replaced, each for as long as its owner might return. So the owner is
 * told that it was replaced, and does not fight for the client id.
 */
export class Replaced {
  readonly #wheel: TimerWheel;
  readonly #graceMs: number;
  readonly #byClient = new Map<string, Map<string, Tombstone>>();

  constructor(wheel: TimerWheel, graceMs: number) {
    this.#wheel = wheel;
    this.#graceMs = graceMs;
  }

  /** Only its owner is told: whoever else names it learns nothing. */
  has(clientId: string, sessionId: string, principal: string | undefined): boolean {
    const tombstone = this.#byClient.get(clientId)?.get(sessionId);
    return tombstone !== undefined && tombstone.principal === principal;
  }

  add(clientId: string, sessionId: string, principal: string | undefined): void {
    const sessions = this.#byClient.get(clientId) ?? new Map<string, Tombstone>();
    this.#byClient.set(clientId, sessions);
    sessions.get(sessionId)?.cancel();
    const cancel = this.#wheel.after(this.#graceMs, () => this.#remove(clientId, sessionId));
    sessions.set(sessionId, { principal, cancel });
    const oldest = sessions.keys().next();
    if (sessions.size > MAX_PER_CLIENT && oldest.done !== true) this.#remove(clientId, oldest.value);
  }

  clear(): void {
    for (const sessions of this.#byClient.values()) for (const { cancel } of sessions.values()) cancel();
    this.#byClient.clear();
  }

  #remove(clientId: string, sessionId: string): void {
    const sessions = this.#byClient.get(clientId);
    sessions?.get(sessionId)?.cancel();
    sessions?.delete(sessionId);
    if (sessions?.size === 0) this.#byClient.delete(clientId);
  }
}
