import { HandshakeCode, type HandshakePeer, isRejectionCode, type ServerHandshake } from './handshake.ts';
import type { SessionCore } from './session/core.ts';
import { isThenable } from './thenable.ts';

/** What a handshake proved. */
export interface Credentials {
  metadata: object | undefined;
  principal: string | undefined;
  /** Milliseconds since the epoch. */
  expiresAt: number | undefined;
}

/** What a handshake proved holds of a session from now on. */
export function adopt(core: SessionCore, credentials: Credentials): void {
  core.metadata = credentials.metadata;
  core.principal = credentials.principal;
  core.expiresAt = credentials.expiresAt;
}

/** How the application judged the metadata of a handshake. */
export type MetadataVerdict =
  | { kind: 'accepted'; credentials: Credentials }
  /** `error` where it is the application's own fault. */
  | { kind: 'refused'; code: string; reason: string; error?: unknown }
  /** It could not judge: what it asked may be back later, and says nothing about who wants to be let in. */
  | { kind: 'failed'; reason: string; error: unknown };

// What went wrong inside is the application's business; the peer hears only that it did not work.
const NOT_VALIDATED = 'the handshake could not be validated';

function failed(error: unknown): MetadataVerdict {
  return { kind: 'failed', reason: NOT_VALIDATED, error };
}

function wrong(error: unknown): MetadataVerdict {
  return { kind: 'refused', code: HandshakeCode.RejectedByCustomHandler, reason: NOT_VALIDATED, error };
}

function expiryOf(value: Date | number | undefined): number | undefined {
  if (value === undefined) return undefined;
  const time = typeof value === 'number' ? value : value.getTime();
  if (Number.isNaN(time))
    throw new TypeError('expiry: expected a valid Date or milliseconds since the epoch, got an invalid one');
  return time === Number.POSITIVE_INFINITY ? undefined : time;
}

/** A promise, or nothing, would equal nobody, or everybody. */
function principalOf({ principal }: ServerHandshake, metadata: object): string | undefined {
  if (principal === undefined) return undefined;
  const value: unknown = principal(metadata);
  if (typeof value !== 'string') throw new TypeError(`principal: expected a string, got ${typeof value}`);
  return value;
}

function accept(handshake: ServerHandshake, value: unknown, now: number): MetadataVerdict {
  if (isRejectionCode(value)) return { kind: 'refused', code: value, reason: 'rejected by handshake handler' };
  if (typeof value !== 'object' || value === null) {
    return wrong(
      new TypeError(`validate: expected an object or a rejection code, got ${value === null ? 'null' : typeof value}`),
    );
  }
  try {
    const expiresAt = expiryOf(handshake.expiry?.(value));
    if (expiresAt !== undefined && expiresAt <= now) {
      return { kind: 'refused', code: HandshakeCode.RejectedByCustomHandler, reason: 'the credential has expired' };
    }
    return { kind: 'accepted', credentials: { metadata: value, principal: principalOf(handshake, value), expiresAt } };
  } catch (error) {
    return wrong(error);
  }
}

/**
 * Asks the application, and calls `done` once: in this turn where the validator answers at once, later where it
 * returns a promise. Never throws.
 * @param wallNow milliseconds since the epoch: what has expired is refused
 */
export function judgeMetadata(
  handshake: ServerHandshake | undefined,
  metadata: unknown,
  previous: object | undefined,
  from: string,
  peer: () => HandshakePeer,
  wallNow: () => number,
  done: (verdict: MetadataVerdict) => void,
): void {
  if (handshake === undefined) {
    return done({ kind: 'accepted', credentials: { metadata: undefined, principal: undefined, expiresAt: undefined } });
  }
  let value: unknown;
  try {
    const fault = handshake.checkMetadata(metadata);
    if (fault !== undefined) {
      return done({
        kind: 'refused',
        code: HandshakeCode.MalformedHandshakeMeta,
        reason: `received malformed handshake metadata: ${fault}`,
      });
    }
    value = handshake.validate(metadata, previous, from, peer());
  } catch (error) {
    return done(failed(error));
  }
  if (!isThenable(value)) return done(accept(handshake, value, wallNow()));
  Promise.resolve(value).then(
    (settled: unknown) => done(accept(handshake, settled, wallNow())),
    (error: unknown) => done(failed(error)),
  );
}
