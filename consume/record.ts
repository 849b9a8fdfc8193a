import type { Position } from '../watch/position.ts';
import type { GapPolicy } from './consumer.ts';
import { messageOf } from './errors.ts';
import { type ConsumerStatus, statusEdges, type UndisturbedStatus } from './status.ts';

/** Why a consumer is in `error`. */
export interface ConsumerFailure {
  /** `HANDLER` or `RESET` threw; `GAP`: events were missed and the policy is `error`. */
  readonly code: 'HANDLER' | 'RESET' | 'GAP';
  readonly message: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The event whose handler failed; for a gap, the last position seen. */
  readonly position: Position | undefined;
  /** When it is tried again, in milliseconds since the epoch; undefined: not by itself. */
  readonly retryAt: number | undefined;
}

/** Events that a consumer could not have any more, or a history that ended, and what was done about it. */
export interface RecordedGap {
  readonly from: Position;
  readonly oldest: Position;
  readonly head: Position;
  readonly policy: GapPolicy;
  readonly at: number;
}

/** What a store keeps of one consumer. */
export interface ConsumerRecord {
  readonly id: string;
  readonly status: ConsumerStatus;
  /** The status before `paused`, `detached` or `error`; undefined in any other. */
  readonly before: ConsumerStatus | undefined;
  /** Where it goes on once nothing is in its way. */
  readonly resumes: UndisturbedStatus;
  /** Everything up to here is done; undefined while `new`. */
  readonly position: Position | undefined;
  /** Failures since the last success. */
  readonly attempt: number;
  readonly error: ConsumerFailure | undefined;
  /** How often events were missed, and the last time. */
  readonly gaps: number;
  readonly lastGap: RecordedGap | undefined;
  /** Rises each time it starts over, so that what was under way then is not taken for progress. */
  readonly generation: number;
  /** Rises with every save; what compare-and-set compares. */
  readonly revision: number;
}

/** A consumer that is seen for the first time. Not saved yet: revision 0. */
export function discovered(id: string): ConsumerRecord {
  return {
    id,
    status: 'new',
    before: undefined,
    resumes: 'new',
    position: undefined,
    attempt: 0,
    error: undefined,
    gaps: 0,
    lastGap: undefined,
    generation: 0,
    revision: 0,
  };
}

/** The record in a status in which nothing is in its way. An error is forgotten, the count of attempts is not. */
export function undisturbed(record: ConsumerRecord, status: UndisturbedStatus): ConsumerRecord {
  return { ...record, ...moved(record, status), before: undefined, resumes: status, error: undefined };
}

/** The record with something in its way. */
export function disturbed(record: ConsumerRecord, status: 'paused' | 'detached'): ConsumerRecord {
  return { ...record, ...moved(record, status), before: record.status };
}

/** A detached record whose consumer is back: as it was. */
export function attached(record: ConsumerRecord): ConsumerRecord {
  const status = record.before ?? record.resumes;
  // What was before `detached` may itself have been a disturbance; of two it is known only what comes after both.
  const isDisturbed = status === 'paused' || status === 'error';
  return { ...record, ...moved(record, status), before: isDisturbed ? record.resumes : undefined };
}

/** The record after its handler, or its reset, failed. */
export function failed(record: ConsumerRecord, failure: ConsumerFailure): ConsumerRecord {
  const attempt = record.attempt + 1;
  return { ...record, ...moved(record, 'error'), before: record.status, attempt, error: failure };
}

/** The record after events up to `position` were handled. */
export function advanced(record: ConsumerRecord, position: Position): ConsumerRecord {
  return { ...record, position, attempt: 0 };
}

/** What went wrong, for the record: without a stack, and of bounded length. */
export function failureOf(
  code: ConsumerFailure['code'],
  error: unknown,
  at: number,
  position: Position | undefined,
  retryAt: number | undefined,
): ConsumerFailure {
  return { code, message: messageOf(error).slice(0, 1_000), at, position, retryAt };
}

/** Whether two positions are the same place of the same history, or none both. */
export function samePosition(a: Position | undefined, b: Position | undefined): boolean {
  return a?.epoch === b?.epoch && a?.offset === b?.offset;
}

/** The one place where a status changes: an edge that is not in the table is a defect, and throws. */
function moved(record: ConsumerRecord, status: ConsumerStatus): { readonly status: ConsumerStatus } {
  if (record.status !== status && !statusEdges[record.status].includes(status)) {
    throw new Error(`'${record.id}': there is no way from ${record.status} to ${status}`);
  }
  return { status };
}
