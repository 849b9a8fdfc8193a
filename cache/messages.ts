import { type Static, type TLiteral, Type } from '@sinclair/typebox';
import type { PayloadSchema } from '../router/index.ts';
import { type Position, PositionSchema } from '../watch/position.ts';
import { MAX_KEY_LENGTH } from './limits.ts';

const key = Type.String({ maxLength: MAX_KEY_LENGTH });
const hops = Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 }));

/** Describes what the topic of a cache says: whoever holds a value of this key drops it. */
export const CacheEventSchema = Type.Object({ key });
/** @see CacheEventSchema */
export type CacheEvent = Static<typeof CacheEventSchema>;

/** Describes how a value is asked for. */
export const GetRequestSchema = Type.Object({
  key,
  /** Not from any cache. */
  fresh: Type.Optional(Type.Boolean()),
  /**
   * How far whoever asks has heard: a hop that has not heard as much does not answer with what it holds. This is what keeps
   * a value out that was dropped already, after a hop came back with what it held before, or another hop took its place.
   */
  atLeast: Type.Optional(PositionSchema),
  /** How many caches it went through. */
  hops,
});
/** @see GetRequestSchema */
export type GetRequest = Static<typeof GetRequestSchema>;

/** Describes a request to the owner. */
export const InvalidateRequestSchema = Type.Object({ key, hops });
/** @see InvalidateRequestSchema */
export type InvalidateRequest = Static<typeof InvalidateRequestSchema>;

/** Describes the owner's answer: whoever has applied this position has dropped the value. */
export const InvalidatedSchema = Type.Object({ position: PositionSchema });
/** What an invalidation is answered with: where the owner has published it. */
export type Invalidated = { position: Position };

/** Describes an answer with a value of a schema. */
export function cachedValueSchema<S extends PayloadSchema>(value: S) {
  return Type.Object({ value });
}

/**
 * Describes how a request fails. The code is what the owner's `load` failed with, or one of errors.ts, so it may be any.
 */
export const CacheFailureSchema = Type.Object({
  // The cast: a literal of the type string and a string describe the same type; what any string is not, is one code.
  code: Type.String() as unknown as TLiteral<string>,
  message: Type.String(),
  extras: Type.Optional(Type.Unknown()),
});
