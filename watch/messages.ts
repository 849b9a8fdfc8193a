import { type Static, Type } from '@sinclair/typebox';
import type { PayloadSchema } from '../router/index.ts';
import { MAX_KEY_LENGTH, MAX_KEYS } from './limits.ts';
import { type Position, PositionSchema } from './position.ts';
import type { Positioned } from './source.ts';

/*
 * What a subscription of a topic says, in this order:
 *
 *   ready     once, first. Events follow from `position` on: the one that was asked for if it is recovered, else the head;
 *             or else, for whoever asks `from: 'oldest'`, what lies before the oldest event. Where it is not the head, that is told, too
 *   events    some events, in order; with them everything up to `through` has been said, what was filtered included
 *   progress  the same without any event: so that a filtered subscriber knows how far it is
 *   reset     something was missed that cannot be had; events follow from `position` on, which may be of another epoch
 */

const offset = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** An event as it is sent, beside the epoch that all of a message share. */
export interface SentEvent<E> {
  offset: number;
  event: E;
}

/** Events as a message has them. */
export function sentEvents<E>(events: readonly Positioned<E>[]): SentEvent<E>[] {
  return events.map(({ position, event }) => ({ offset: position.offset, event }));
}

/** One message of a subscription of a topic. */
export type TopicMessage<E> =
  | { type: 'ready'; position: Position; isRecovered: boolean; head?: Position | undefined }
  | { type: 'events'; epoch: string; through: number; events: SentEvent<E>[] }
  | { type: 'progress'; position: Position }
  | { type: 'reset'; position: Position };

/** Describes a {@link TopicMessage} with events of a schema. */
export function topicMessageSchema<S extends PayloadSchema>(event: S) {
  return Type.Union([
    Type.Object({
      type: Type.Literal('ready'),
      position: PositionSchema,
      isRecovered: Type.Boolean(),
      head: Type.Optional(PositionSchema),
    }),
    Type.Object({
      type: Type.Literal('events'),
      epoch: Type.String(),
      through: offset,
      events: Type.Array(Type.Object({ offset, event })),
    }),
    Type.Object({ type: Type.Literal('progress'), position: PositionSchema }),
    Type.Object({ type: Type.Literal('reset'), position: PositionSchema }),
  ]);
}

/** Describes what a subscription begins with. */
export const TopicRequestSchema = Type.Object({
  /** The last position seen. Without it, or where it is not held any more, events follow from the head on. */
  since: Type.Optional(PositionSchema),
  /** Instead of from the head: from the oldest event on. */
  from: Type.Optional(Type.Literal('oldest')),
  /** Only events with these keys; without it all. */
  keys: Type.Optional(Type.Array(Type.String({ maxLength: MAX_KEY_LENGTH }), { maxItems: MAX_KEYS })),
});

/** @see TopicRequestSchema */
export type TopicRequest = Static<typeof TopicRequestSchema>;

/** Describes how a subscription of a topic ends, other than any call may. */
export const TopicErrorSchema = Type.Union([
  Type.Object({ code: Type.Literal('NOT_AUTHORIZED'), message: Type.String() }),
  /** Keys were asked for, and the topic's events have none. */
  Type.Object({ code: Type.Literal('NO_KEYS'), message: Type.String() }),
]);

/** @see TopicErrorSchema */
export type TopicError = Static<typeof TopicErrorSchema>;
