import type { ClientSession, ServerSession } from 'holdfast/transport';
import type { Spoken } from '../library.ts';

/** What every session that is measured must have agreed on: figures without it would be those of something else. */
export const REQUIRED_EXTENSIONS = ['compact', 'credit', 'resume'] as const;

/** What these sessions agreed on. */
export function spokenIn(sessions: Iterable<ClientSession | ServerSession>): Spoken {
  const spoken: Spoken = { sessions: 0, missing: [] };
  for (const { id, core } of sessions) {
    spoken.sessions += 1;
    for (const name of REQUIRED_EXTENSIONS)
      if (core.agreement?.extensions?.[name] === undefined) spoken.missing.push(`${name} in ${id}`);
  }
  return spoken;
}
