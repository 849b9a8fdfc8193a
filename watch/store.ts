import { InvalidArgumentError } from './errors.ts';
import type { Position } from './position.ts';
import type { Positioned } from './source.ts';

/** How much history a topic keeps; what is older is gone, and whoever has not seen it gets a gap. */
export interface Keep {
  /** The newest so many; 10 000 by default, `Infinity` for all. */
  events?: number | undefined;
  /** None older than so many milliseconds; by default age does not matter. It is looked at when something is published. */
  ageMs?: number | undefined;
  /**
   * Of what is kept in memory, by a {@link MemoryTopicStore} and by mirrors: no more than about so many bytes, as events weigh when
   * they are sent, but always the newest event; 64 MiB by default, `Infinity` for any. What no codec carries is not counted. Stores
   * on a disk do not look at it.
   */
  bytes?: number | undefined;
}

/** {@link Keep} with its defaults. */
export interface SettledKeep {
  readonly events: number;
  readonly ageMs: number;
  readonly bytes: number;
}

const DEFAULT_KEPT_EVENTS = 10_000;
const DEFAULT_KEPT_BYTES = 64 * 1024 * 1024;

/** @throws {InvalidArgumentError} */
export function settleKeep({
  events = DEFAULT_KEPT_EVENTS,
  ageMs = Number.POSITIVE_INFINITY,
  bytes = DEFAULT_KEPT_BYTES,
}: Keep = {}): SettledKeep {
  if (events !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(events) && events >= 1))
    throw new InvalidArgumentError(`expected keep.events to be a whole number from 1, or Infinity, got ${events}`);
  if (!(ageMs > 0)) throw new InvalidArgumentError(`expected keep.ageMs of more than 0, got ${ageMs}`);
  if (!(bytes > 0)) throw new InvalidArgumentError(`expected keep.bytes of more than 0, got ${bytes}`);
  return { events, ageMs, bytes };
}

/** Where a topic's history begins and ends. */
export interface Extent {
  readonly epoch: string;
  /** The offset before the oldest event that is held. */
  readonly floor: number;
  /** The offset of the newest event. */
  readonly head: number;
}

/**
 * Where a topic keeps its history. Everything is synchronous: an event and what else its publisher writes can then share a
 * transaction. A store belongs to one topic, whose events it gives back as they were.
 */
export interface TopicStore {
  /** What is held now; inside a transaction, what will be if it commits. */
  extent(): Extent;
  /**
   * Adds events behind the head, all or none, and drops what is not to be kept; inside a transaction of the application it
   * drops nothing, for what was dropped could not be read until that is over.
   * @param at milliseconds since 1970, for {@link Keep.ageMs}
   * @returns the position of the last of them
   */
  append(events: readonly unknown[], at: number, keep: SettledKeep): Position;
  /** Drops what is not to be kept. */
  trim(at: number, keep: SettledKeep): void;
  /** @param after an offset between floor and head */
  read(after: number, limit: number): readonly Positioned<unknown>[];
  /** Whether what was appended last may still be rolled back. */
  isUnsettled(): boolean;
}
