/** What every library carries here: about the least that an application says. */
export interface Small {
  n: number;
  /** 16 characters. */
  s: string;
}

/** What an array of bytes is here, in a call that sends it both ways. */
export const PAYLOAD_BYTES = 64 * 1024;

const TEXT = 'sixteen letters.';

/** The message of a number. */
export function small(n: number): Small {
  return { n, s: TEXT };
}

/** How a writer writes, whichever library it writes with. It stops at whichever bound comes first. */
export interface Writing {
  /** For at most so long. */
  ms: number;
  /** At most so many. */
  messages: number;
  /** Waits where the library says so; otherwise it writes them all in one turn. */
  heeds: boolean;
}

/** How often a writer looks at the time: looking costs a tenth of a message. */
const LOOK_EVERY = 64;

/**
 * Writes small messages.
 * @param write returns false where the writer should wait
 * @returns how many were written
 */
export async function writeAs(
  { ms, messages, heeds }: Writing,
  write: (message: Small) => boolean,
  ready: () => Promise<unknown>,
): Promise<number> {
  const end = performance.now() + ms;
  for (let n = 0; n < messages; n++) {
    if (n % LOOK_EVERY === 0 && performance.now() >= end) return n;
    if (!write(small(n)) && heeds) await ready();
  }
  return messages;
}
