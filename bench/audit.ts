import type { Exchanged, Spoken } from './library.ts';

/** The processes of one library, as far as they can be asked whether they do what they claim; others answer nothing. */
export interface Audited {
  spoken(): Promise<readonly (Spoken | undefined)[]>;
  talk(): Promise<Exchanged | undefined>;
  checks(): Promise<{ requests: number; responses: number } | undefined>;
}

/**
 * Whether the sessions of both processes spoke what they must, and the server checks every message that it receives and
 * every one that it sends. The latter is asked of a second service: the same procedures, handlers and schemas, on the
 * same server and transport, but for a part in each schema that counts. It is asked once all is measured, which it would
 * slow otherwise.
 * @throws {Error} saying what is not so
 */
export async function audit({ spoken, talk, checks }: Audited): Promise<void> {
  for (const side of await spoken()) if (side !== undefined) assertSpoken(side);
  const exchanged = await talk();
  const checked = await checks();
  if (exchanged === undefined || checked === undefined) return;
  const { sent, received } = exchanged;
  if (checked.requests !== sent || checked.responses !== received) {
    const counts = `${checked.requests} and ${checked.responses} were checked`;
    throw new Error(`${sent} messages were sent and ${received} received, but ${counts}`);
  }
}

function assertSpoken({ sessions, missing }: Spoken): void {
  if (sessions === 0) throw new Error('no session was there to be measured');
  if (missing.length > 0) throw new Error(`measured without an extension that must be spoken: ${missing[0]}`);
}
