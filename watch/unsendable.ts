import { callBehind } from '../router/index.ts';
import { weigh } from './chunk.ts';
import { UnsendableEventError } from './errors.ts';
import { MAX_EPOCH_LENGTH } from './isPosition.ts';
import type { Position } from './position.ts';
import type { Subscriber } from './subscriber.ts';

/** What is around the events of a message on the wire that says the most, besides the ids of who speaks to whom. */
const ENVELOPE_BYTES = 512 + 6 * MAX_EPOCH_LENGTH;
/** So many events are remembered to have been complained of. */
const MAX_REMEMBERED = 1_000;

/**
 * How many bytes of events a message to a caller has room for.
 * @param ctx the context of a handler; of one that the router did not make nothing is known
 */
export function roomForEvents(ctx: object): number {
  const call = callBehind(ctx);
  if (call === undefined) return Number.POSITIVE_INFINITY;
  const { maxMessageBytes, from, to } = call.port;
  return maxMessageBytes - ENVELOPE_BYTES - weigh(from) - weigh(to) - weigh(call.streamId);
}

/** Says on the server that somebody could not be sent an event: once for each event, however many they are. */
export class Complaints {
  #epoch = '';
  readonly #offsets = new Set<number>();

  unsendable({ maxBytes, logError }: Subscriber<never>, position: Position, bytes: number): void {
    if (position.epoch !== this.#epoch || this.#offsets.size >= MAX_REMEMBERED) this.#offsets.clear();
    this.#epoch = position.epoch;
    if (this.#offsets.has(position.offset)) return;
    this.#offsets.add(position.offset);
    logError('an event cannot be sent', new UnsendableEventError(position, bytes, maxBytes));
  }
}
