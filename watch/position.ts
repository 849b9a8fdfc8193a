import { type Static, Type } from '@sinclair/typebox';
import { MAX_EPOCH_LENGTH } from './isPosition.ts';

/**
 * A place in the history of a topic. `epoch` names one history and is opaque: another epoch is another history, and nothing
 * of one can be compared with the other. `offset` orders within it: the first event has 1, and 0 is before every event.
 * Not to be confused with a session's `seq`, which lives no longer than the session.
 */
export const PositionSchema = Type.Object({
  epoch: Type.String({ minLength: 1, maxLength: MAX_EPOCH_LENGTH }),
  offset: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
});

/** @see PositionSchema */
export type Position = Static<typeof PositionSchema>;
