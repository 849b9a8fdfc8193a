import { callSafely } from './thenable.ts';

/** Levels in rising order; a sink receives its own level and everything above it. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

const ranks: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * What a log line is about: ids, codes and counts. It never holds payloads, handshake metadata, cookies or
 * authorisation headers; at level `debug` a message's envelope (without its payload) may be there.
 */
export interface LogFields {
  clientId?: string | undefined;
  connectedTo?: string | undefined;
  sessionId?: string | undefined;
  connectionId?: string | undefined;
  streamId?: string | undefined;
  service?: string | undefined;
  procedure?: string | undefined;
  state?: string | undefined;
  code?: string | undefined;
  /** The error itself, where there is one; loggers decide how much of it to print. */
  error?: unknown;
  [key: string]: unknown;
}

/** Receives every line at or above the level it was bound with. */
export type LogFn = (message: string, fields: LogFields, level: LogLevel) => void;

/** Somebody who listens: text is only made where `enabled` says so. */
export interface Logger {
  enabled(level: LogLevel): boolean;
  log(level: LogLevel, message: string, fields: LogFields): void;
}

/** A logger whose sink is bound later, or never. A sink that throws silences nothing and harms nobody. */
export class BoundLogger implements Logger {
  #fn: LogFn | undefined;
  #rank = ranks.info;

  bind(fn: LogFn, level: LogLevel = 'info'): void {
    this.#fn = fn;
    this.#rank = ranks[level];
  }

  enabled(level: LogLevel): boolean {
    return this.#fn !== undefined && ranks[level] >= this.#rank;
  }

  log(level: LogLevel, message: string, fields: LogFields): void {
    if (this.#fn === undefined || ranks[level] < this.#rank) return;
    const fn = this.#fn;
    // There is nowhere left to report a failing sink to; the line is lost, the session is not.
    callSafely(
      () => fn(message, fields, level),
      () => undefined,
    );
  }
}

function printable(fields: LogFields): Record<string, unknown> {
  const { error, ...rest } = fields;
  if (error === undefined) return rest;
  return {
    ...rest,
    error: error instanceof Error ? { name: error.name, message: error.message, stack: error.stack } : String(error),
  };
}

/** One JSON object a line, on the console method of its level. */
export const jsonLogger: LogFn = (message, fields, level) => {
  console[level](JSON.stringify({ level, message, ...printable(fields) }));
};

const colours: Record<LogLevel, string> = {
  debug: '\u001b[90m',
  info: '\u001b[36m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};

/** One line stays one, and commands to a terminal stay text: peers choose their ids, and errors quote them. */
function harmless(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A coloured line for people, on the console method of its level. */
export const coloredStringLogger: LogFn = (message, fields, level) => {
  const who = [fields.clientId, fields.connectedTo].filter((id) => id !== undefined).join(' → ');
  const { clientId: _from, connectedTo: _to, ...rest } = printable(fields);
  const tail = Object.keys(rest).length === 0 ? '' : ` ${JSON.stringify(rest)}`;
  console[level](`${colours[level]}${level.padEnd(5)}\u001b[0m [${harmless(who)}] ${harmless(message)}${tail}`);
};
