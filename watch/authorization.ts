import { InvalidArgumentError } from './errors.ts';

/** What may be answered to the question whether somebody may follow a topic. With `revoked` the answer ends when it aborts. */
export type Permission = boolean | { readonly revoked: AbortSignal };

/** A permission that was given; how to hear that it is taken back. */
export interface Granted {
  /** @returns what ends it */
  onRevoked(listener: () => void): () => void;
}

/**
 * Asks. What `ask` throws is passed on: whoever cannot be asked has not agreed, but has not refused for good either.
 * @returns undefined if it is refused
 * @throws {InvalidArgumentError} for an answer that is none
 */
export async function askPermission(ask: () => Permission | Promise<Permission>): Promise<Granted | undefined> {
  const permission = await ask();
  if (permission === true) return { onRevoked: () => () => undefined };
  if (permission === false) return undefined;
  // Not merely truthy: an answer of another shape is a mistake, and a mistake must not open anything.
  const { revoked }: { revoked?: unknown } = permission ?? {};
  if (!(revoked instanceof AbortSignal)) throw new InvalidArgumentError(noAnswer(permission));
  if (revoked.aborted) return undefined;
  return {
    onRevoked(listener) {
      if (revoked.aborted) listener(); // between the answer and now
      revoked.addEventListener('abort', listener, { once: true });
      return () => revoked.removeEventListener('abort', listener);
    },
  };
}

function noAnswer(given: unknown): string {
  const shown = typeof given === 'object' && given !== null ? 'an object without an AbortSignal' : String(given);
  return `expected authorize to answer true, false or { revoked: AbortSignal }, got ${shown}`;
}
