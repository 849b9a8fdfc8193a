import type { SettledTransportOptions } from './options.ts';

/**
 * What is spoken beyond River v2.0, where both sides say so in the handshake. River ignores the fields. What a session's
 * first answer accepted holds for the whole session.
 * @see PROTOCOL.md, "Extensions"
 */

/** What the client says of the session it wants to go on with. Counters alone cannot tell a server that lost its memory from a new session. */
export interface ResumeOffer {
  /** Chosen by the client with the session, the same in every handshake of it; proves that the session is the client's. Never logged. */
  token: string;
  /** True once the client got an answer for this session. */
  everConnected: boolean;
  /** The server's, from that answer. */
  instance?: string | undefined;
  /** The seq of the client's next message. */
  nextSeq: number;
}

/** Where the server stands, as the client says it in `expectedSessionState` and {@link ResumeOffer}. */
export interface ResumeAnswer {
  /** Random per server transport: another one has another memory. */
  instance: string;
  /** Its ack. */
  nextExpectedSeq: number;
  /** The seq of its oldest unconfirmed message, or its next. */
  oldestUnackedSeq: number;
  nextSeq: number;
}

/** Each side says its own. Only together with `compact`, whose frames carry limits. */
export interface CreditTerms {
  /** What the other side may send on each stream from its start. */
  windowBytes: number;
}

/** How a server keeps the outcomes of keyed calls. */
export interface IdempotencyTerms {
  /** Names the memory they are in: another one knows nothing of them. */
  instance: string;
  /** It keeps an outcome for so long, at least. */
  ttlMs: number;
  /** They outlive the server's process. */
  durable: boolean;
}

/** What a client offers. An extension that is absent is not spoken. */
export interface ExtensionOffer {
  heartbeat?: Record<string, never> | undefined;
  deadline?: Record<string, never> | undefined;
  compact?: Record<string, never> | undefined;
  credit?: CreditTerms | undefined;
  idempotency?: Record<string, never> | undefined;
  resume?: ResumeOffer | undefined;
}

/** What a server accepts of it. */
export interface AcceptedExtensions {
  /** The server's own interval and misses, so that the two sides cannot disagree. */
  heartbeat?: { intervalMs: number; misses: number } | undefined;
  deadline?: Record<string, never> | undefined;
  /** Frames of many messages, from the first frame after the answer. */
  compact?: Record<string, never> | undefined;
  credit?: CreditTerms | undefined;
  idempotency?: IdempotencyTerms | undefined;
  resume?: ResumeAnswer | undefined;
}

/** What of an answer holds for the whole session: all but where the server stood. */
export interface AgreedExtensions {
  readonly heartbeat?: { readonly intervalMs: number; readonly misses: number } | undefined;
  readonly deadline?: object | undefined;
  readonly compact?: object | undefined;
  /** As the server said it. */
  readonly credit?: { readonly windowBytes: number } | undefined;
  readonly idempotency?: Readonly<IdempotencyTerms> | undefined;
  readonly resume?: { readonly instance: string } | undefined;
}

/** Either an extension's fields, or why they are none. */
export type ParsedExtensions<T> = { ok: true; value: T } | { ok: false; reason: string };

/** 128 bits in the densest alphabet that is usual; ours has 24 characters. */
const MIN_TOKEN_LENGTH = 16;
const MAX_TOKEN_LENGTH = 256;
/** An instance is sent with every repeated call. */
const MAX_INSTANCE_LENGTH = 64;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounter(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0; // isSafeInteger says it is a number
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length >= MIN_TOKEN_LENGTH && value.length <= MAX_TOKEN_LENGTH;
}

function fail(reason: string): { ok: false; reason: string } {
  return { ok: false, reason: `extensions.${reason}` };
}

function parseCredit(value: unknown): ParsedExtensions<CreditTerms> {
  if (!isRecord(value)) return fail('credit: expected an object');
  const { windowBytes } = value;
  if (!isCounter(windowBytes) || windowBytes === 0)
    return fail(`credit.windowBytes: expected an integer from 1, got ${String(windowBytes)}`);
  return { ok: true, value: { windowBytes } };
}

function parseIdempotency(value: unknown): ParsedExtensions<IdempotencyTerms> {
  if (!isRecord(value)) return fail('idempotency: expected an object');
  const { instance, ttlMs, durable } = value;
  if (typeof instance !== 'string' || instance === '' || instance.length > MAX_INSTANCE_LENGTH)
    return fail(`idempotency.instance: expected 1 to ${MAX_INSTANCE_LENGTH} characters`);
  if (!isCounter(ttlMs) || ttlMs === 0)
    return fail(`idempotency.ttlMs: expected an integer from 1, got ${String(ttlMs)}`);
  if (typeof durable !== 'boolean') return fail(`idempotency.durable: expected a boolean, got ${String(durable)}`);
  return { ok: true, value: { instance, ttlMs, durable } };
}

function parseResumeOffer(value: unknown): ParsedExtensions<ResumeOffer> {
  if (!isRecord(value)) return fail('resume: expected an object');
  const { token, everConnected, instance, nextSeq } = value;
  // What came is not repeated: a token does not belong into a log.
  if (!isToken(token)) return fail(`resume.token: expected ${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} characters`);
  if (typeof everConnected !== 'boolean') return fail('resume.everConnected: expected a boolean');
  if (instance !== undefined && typeof instance !== 'string') return fail('resume.instance: expected a string');
  if (!isCounter(nextSeq)) return fail('resume.nextSeq: expected an integer from 0');
  return { ok: true, value: { token, everConnected, instance, nextSeq } };
}

function parseResumeAnswer(value: unknown): ParsedExtensions<ResumeAnswer> {
  if (!isRecord(value)) return fail('resume: expected an object');
  const { instance, nextExpectedSeq, oldestUnackedSeq, nextSeq } = value;
  if (typeof instance !== 'string' || instance === '') return fail('resume.instance: expected a string');
  if (!isCounter(nextExpectedSeq)) return fail('resume.nextExpectedSeq: expected an integer from 0');
  if (!isCounter(oldestUnackedSeq)) return fail('resume.oldestUnackedSeq: expected an integer from 0');
  if (!isCounter(nextSeq)) return fail('resume.nextSeq: expected an integer from 0');
  return { ok: true, value: { instance, nextExpectedSeq, oldestUnackedSeq, nextSeq } };
}

/** Reads what a client offers. Unknown extensions are dropped: they are not accepted. */
export function parseOffer(extensions: unknown): ParsedExtensions<ExtensionOffer> {
  if (!isRecord(extensions)) return { ok: false, reason: 'extensions: expected an object' };
  const offer: ExtensionOffer = {};
  if (isRecord(extensions['heartbeat'])) offer.heartbeat = {};
  if (isRecord(extensions['deadline'])) offer.deadline = {};
  if (isRecord(extensions['compact'])) offer.compact = {};
  if (isRecord(extensions['idempotency'])) offer.idempotency = {};
  if (extensions['credit'] !== undefined) {
    const credit = parseCredit(extensions['credit']);
    if (!credit.ok) return credit;
    offer.credit = credit.value;
  }
  if (extensions['resume'] === undefined) return { ok: true, value: offer };
  const resume = parseResumeOffer(extensions['resume']);
  if (!resume.ok) return resume;
  offer.resume = resume.value;
  return { ok: true, value: offer };
}

/** Reads what a server accepted. */
export function parseAccepted(extensions: unknown): ParsedExtensions<AcceptedExtensions> {
  if (!isRecord(extensions)) return { ok: false, reason: 'extensions: expected an object' };
  const accepted: AcceptedExtensions = {};
  const { heartbeat, deadline, compact, credit, idempotency, resume } = extensions;
  if (heartbeat !== undefined) {
    if (!isRecord(heartbeat)) return fail('heartbeat: expected an object');
    const { intervalMs, misses } = heartbeat;
    if (!isCounter(intervalMs) || intervalMs === 0 || !isCounter(misses) || misses === 0) {
      return fail(`heartbeat: expected intervalMs and misses above 0, got ${String(intervalMs)} and ${String(misses)}`);
    }
    accepted.heartbeat = { intervalMs, misses };
  }
  // Not whatever is there: "no" would be taken for "yes".
  if (deadline !== undefined) {
    if (!isRecord(deadline)) return fail('deadline: expected an object');
    accepted.deadline = {};
  }
  if (compact !== undefined) {
    if (!isRecord(compact)) return fail('compact: expected an object');
    accepted.compact = {};
  }
  if (credit !== undefined) {
    const parsed = parseCredit(credit);
    if (!parsed.ok) return parsed;
    accepted.credit = parsed.value;
  }
  if (idempotency !== undefined) {
    const parsed = parseIdempotency(idempotency);
    if (!parsed.ok) return parsed;
    accepted.idempotency = parsed.value;
  }
  if (resume !== undefined) {
    const parsed = parseResumeAnswer(resume);
    if (!parsed.ok) return parsed;
    accepted.resume = parsed.value;
  }
  return { ok: true, value: accepted };
}

/** What a client offers, by its options. */
export function offerOf(
  { extensions, readableHighWaterBytes: windowBytes }: SettledTransportOptions,
  resume: ResumeOffer | undefined,
): ExtensionOffer | undefined {
  const offer: ExtensionOffer = {};
  if (extensions.heartbeat) offer.heartbeat = {};
  if (extensions.deadline) offer.deadline = {};
  if (extensions.compact) offer.compact = {};
  if (extensions.compact && extensions.credit) offer.credit = { windowBytes };
  if (extensions.idempotency) offer.idempotency = {};
  if (extensions.resume && resume !== undefined) offer.resume = resume;
  return Object.keys(offer).length === 0 ? undefined : offer;
}

/** An extension that says nothing but that it is spoken: one object for all sessions. */
const SPOKEN: Record<string, never> = Object.freeze({});

/**
 * The subset of an offer that a server speaks; undefined where nothing was offered, as River's clients do.
 * @param idempotency how the server keeps outcomes; undefined if it keeps none
 */
export function acceptedOf(
  offer: ExtensionOffer | undefined,
  options: SettledTransportOptions,
  resume: ResumeAnswer,
  idempotency?: IdempotencyTerms | undefined,
): AcceptedExtensions | undefined {
  if (offer === undefined) return undefined;
  const { extensions, heartbeatIntervalMs: intervalMs, heartbeatsUntilDead: misses } = options;
  const { readableHighWaterBytes: windowBytes } = options;
  const isCompact = offer.compact !== undefined && extensions.compact;
  const accepted: AcceptedExtensions = {};
  if (offer.heartbeat !== undefined && extensions.heartbeat) accepted.heartbeat = { intervalMs, misses };
  if (offer.deadline !== undefined && extensions.deadline) accepted.deadline = SPOKEN;
  if (isCompact) accepted.compact = SPOKEN;
  if (isCompact && offer.credit !== undefined && extensions.credit) accepted.credit = { windowBytes };
  if (offer.idempotency !== undefined && extensions.idempotency && idempotency !== undefined) {
    accepted.idempotency = idempotency;
  }
  if (offer.resume !== undefined && extensions.resume) accepted.resume = resume;
  return accepted;
}

/** What a server accepted of what it was offered; it cannot accept anything else. */
export function onlyOffered(
  accepted: AcceptedExtensions | undefined,
  { extensions }: SettledTransportOptions,
): AcceptedExtensions | undefined {
  if (accepted === undefined || !Object.values(extensions).includes(true)) return undefined;
  const isCompact = extensions.compact && accepted.compact !== undefined;
  const only: AcceptedExtensions = {};
  if (extensions.heartbeat && accepted.heartbeat !== undefined) only.heartbeat = accepted.heartbeat;
  if (extensions.deadline && accepted.deadline !== undefined) only.deadline = SPOKEN;
  if (isCompact) only.compact = SPOKEN;
  if (isCompact && extensions.credit && accepted.credit !== undefined) only.credit = accepted.credit;
  if (extensions.idempotency && accepted.idempotency !== undefined) only.idempotency = accepted.idempotency;
  if (extensions.resume && accepted.resume !== undefined) only.resume = accepted.resume;
  return only;
}

/** True if two answers agree on everything that holds for a whole session. */
export function sameExtensions(a: AgreedExtensions | undefined, b: AgreedExtensions | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.heartbeat?.intervalMs === b.heartbeat?.intervalMs &&
    a.heartbeat?.misses === b.heartbeat?.misses &&
    (a.deadline === undefined) === (b.deadline === undefined) &&
    (a.compact === undefined) === (b.compact === undefined) &&
    a.credit?.windowBytes === b.credit?.windowBytes &&
    a.idempotency?.instance === b.idempotency?.instance &&
    a.idempotency?.ttlMs === b.idempotency?.ttlMs &&
    a.idempotency?.durable === b.idempotency?.durable &&
    a.resume?.instance === b.resume?.instance
  );
}

/** Compares two secrets in a time that depends on their lengths alone. */
export function sameToken(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}
