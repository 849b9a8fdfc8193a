/** What may be answered to the question whether somebody may follow a topic. With `revoked` the answer ends when it aborts. */
export type Permission = boolean | { readonly revoked: AbortSignal };

/** A permission that was given; how to hear that it is taken back. */
export interface Granted {
  /** @returns what ends it */
  onRevoked(listener: () => void): () => void;
}

/**
 * Asks.
 * @returns undefined if it is refused: by the answer, by an answer that is none, or because asking failed
 */
export async function askPermission(ask: () => Permission | Promise<Permission>): Promise<Granted | undefined> {
  let permission: Permission;
  try {
    permission = await ask();
  } catch {
    return undefined; // whoever cannot be asked has not agreed
  }
  if (permission === true) return { onRevoked: () => () => undefined };
  // Not merely truthy: an answer of another shape is a mistake, and a mistake must not open anything.
  if (typeof permission !== 'object' || permission === null || !(permission.revoked instanceof AbortSignal))
    return undefined;
  const { revoked } = permission;
  if (revoked.aborted) return undefined;
  return {
    onRevoked(listener) {
      if (revoked.aborted) listener(); // between the answer and now
      revoked.addEventListener('abort', listener, { once: true });
      return () => revoked.removeEventListener('abort', listener);
    },
  };
}
