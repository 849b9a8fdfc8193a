import { isDeepStrictEqual } from 'node:util';
import { show } from './deviation.ts';
import { constantStreamIds, exemptionOf } from './exemptions.ts';
import { isRecord } from './recording.ts';

/** Which id of ours stands for which of a recording: one for one, all through a replay. */
export class Identities {
  readonly #ours = new Map<string, string>();
  readonly #recorded = new Map<string, string>();

  constructor() {
    for (const constant of constantStreamIds) this.pair(constant, constant);
  }

  /** Notes that two ids stand for each other. Returns false if one of them already stands for another one. */
  pair(recorded: string, ours: string): boolean {
    const known = this.#ours.get(recorded);
    if (known !== undefined) return known === ours;
    if (this.#recorded.has(ours)) return false;
    this.#ours.set(recorded, ours);
    this.#recorded.set(ours, recorded);
    return true;
  }

  /** Our id in the place of one that was recorded. An id that is not known yet is the peer's, and stands for itself. */
  oursFor(recorded: string): string {
    this.pair(recorded, recorded);
    return this.#ours.get(recorded) ?? recorded;
  }
}

function eachLeaf(value: unknown, visit: (path: string, leaf: unknown) => void, path: string): void {
  if (!isRecord(value)) return visit(path, value);
  for (const [key, field] of Object.entries(value)) eachLeaf(field, visit, `${path}.${key}`);
}

/** Every id in a message. */
export function idsOf(message: unknown): readonly string[] {
  const ids: string[] = [];
  eachLeaf(
    message,
    (path, leaf) => {
      if (typeof leaf === 'string' && exemptionOf(message, path, leaf)?.kind === 'id') ids.push(leaf);
    },
    'message',
  );
  return ids;
}

/**
 * Compares a message of ours with the recorded one, every key and every value.
 * @returns the first difference, or undefined if there is none
 */
export function differenceOf(recorded: unknown, ours: unknown, ids: Identities): string | undefined {
  return compare(recorded, recorded, ours, ids, 'message');
}

function compare(root: unknown, recorded: unknown, ours: unknown, ids: Identities, path: string): string | undefined {
  if (isRecord(recorded) && isRecord(ours)) return compareFields(root, recorded, ours, ids, path);
  const exemption = exemptionOf(root, path, recorded);
  let isSame: boolean;
  if (exemption === undefined || typeof recorded !== 'string' || typeof ours !== 'string')
    isSame = isDeepStrictEqual(recorded, ours);
  else isSame = exemption.kind === 'prose' || ids.pair(recorded, ours);
  if (isSame) return undefined;
  const what = exemption?.kind === 'id' ? 'and one of them stands for another id already' : '';
  return `${path}: the recording has ${show(recorded)}, ours is ${show(ours)} ${what}`.trim();
}

function compareFields(
  root: unknown,
  recorded: Record<string, unknown>,
  ours: Record<string, unknown>,
  ids: Identities,
  path: string,
): string | undefined {
  for (const key of new Set([...Object.keys(recorded), ...Object.keys(ours)])) {
    const inner = `${path}.${key}`;
    if (!(key in ours)) return `${inner}: the recording has ${show(recorded[key])}, ours has no such key`;
    if (!(key in recorded)) return `${inner}: the recording has no such key, ours has ${show(ours[key])}`;
    const difference = compare(root, recorded[key], ours[key], ids, inner);
    if (difference !== undefined) return difference;
  }
  return undefined;
}
