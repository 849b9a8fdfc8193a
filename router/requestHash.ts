import { sha256 } from './sha256.ts';

function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte < 16 ? `0${byte.toString(16)}` : byte.toString(16);
  return text;
}

/**
 * One text for all equal values: properties in the order of their names, without those that are undefined. No two that
 * differ have the same text. Takes what codecs decode, which is nested 64 levels deep at most.
 */
export function canonicalText(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`;
  if (value instanceof Uint8Array) return `<${hex(value)}>`;
  if (value instanceof Date) return `@${value.getTime()}`;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalText(field)}`).join()}}`;
}

/** Tells one request from another. Kept instead of the request, however large that is. */
export function requestHash(request: unknown): string {
  return sha256(canonicalText(request));
}
