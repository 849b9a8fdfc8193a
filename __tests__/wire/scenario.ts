import type { Client } from '../../router/clientTypes.ts';
import type { RawClientTransport, RawServerTransport, ReplayClock } from './rawTransports.ts';
import type { services } from './services.ts';

/** The application of a scenario's client. */
export interface ClientApplication {
  readonly client: Client<typeof services>;
  readonly transport: RawClientTransport;
  readonly clock: ReplayClock;
}

/** The application of a scenario's server, besides its services. */
export interface ServerApplication {
  readonly transport: RawServerTransport;
  readonly clock: ReplayClock;
}

/**
 * Who ends a connection. `cut`: somebody in between, and both ends hear of it. `client`: a raw client. `server`: the
 * server. `both`: the server refuses the handshake and the client gives up, each without waiting for the other.
 */
export type Ending = 'cut' | 'client' | 'server' | 'both';

interface BaseScenario {
  /** Sessions that are left in the end, on either side. */
  readonly sessionsLeft: number;
  /** Set where the server goes on sending when the recording has ended. */
  readonly keepsTalking?: boolean;
  /** Makes the handshake metadata of the client. Where it is present, the server wants some. */
  readonly metadata?: () => unknown;
}

/** A client and a server that were both whole. */
export interface LiveScenario extends BaseScenario {
  readonly kind: 'live';
  /** Connections that ended before the recording did, by number. */
  readonly endings: Readonly<Record<number, Ending>>;
  /** What the client's application does; ends once it has got everything. */
  readonly client: (application: ClientApplication) => Promise<void>;
  /** What the server's application does by itself. */
  readonly server?: (application: ServerApplication) => Promise<void>;
}

/** One step of a client that is nothing but a script. `hears` waits for one frame of the server, whatever it says. */
export type ScriptStep =
  | { readonly opens: number }
  | { readonly sends: number; readonly message: object }
  | { readonly sends: number; readonly bytes: Uint8Array }
  | { readonly hears: number }
  | { readonly closes: number }
  | { readonly isClosed: number };

/** Hand-made frames, sent to a whole server. */
export interface HandMadeScenario extends BaseScenario {
  readonly kind: 'hand-made';
  readonly script: readonly ScriptStep[];
}

/** What was done where a recording was made. */
export type Scenario = LiveScenario | HandMadeScenario;

/** Who ends a connection, if anybody does before the recording ends. */
export function endingOf(scenario: Scenario, conn: number): Ending | undefined {
  if (scenario.kind === 'live') return scenario.endings[conn];
  for (const step of scenario.script) {
    if ('closes' in step && step.closes === conn) return 'client';
    if ('isClosed' in step && step.isClosed === conn) return 'server';
  }
  return undefined;
}
