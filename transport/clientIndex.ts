import type { SessionCore } from './session/core.ts';

/** A server's sessions by client id: one each, or, where clients may have several, a set each. */
export class ClientIndex {
  readonly #coexist: boolean;
  readonly #keysByClient = new Map<string, Set<string>>();

  constructor(coexist: boolean) {
    this.#coexist = coexist;
  }

  /** The key of a session among all of the server's. */
  keyOf(clientId: string, sessionId: string): string {
    // JSON, so that no two pairs of ids make one key.
    return this.#coexist ? JSON.stringify([clientId, sessionId]) : clientId;
  }

  /** Keys under which sessions of a client may be found. */
  keysOf(clientId: string): Iterable<string> {
    return this.#coexist ? (this.#keysByClient.get(clientId) ?? []) : [clientId];
  }

  add({ to, id }: SessionCore): void {
    if (!this.#coexist) return;
    const keys = this.#keysByClient.get(to) ?? new Set<string>();
    keys.add(this.keyOf(to, id));
    this.#keysByClient.set(to, keys);
  }

  remove({ to, id }: SessionCore): void {
    const keys = this.#keysByClient.get(to);
    keys?.delete(this.keyOf(to, id));
    if (keys?.size === 0) this.#keysByClient.delete(to);
  }
}
