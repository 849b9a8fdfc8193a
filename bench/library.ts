import type { Small, Writing } from './application.ts';

/** One client of a library, connected. What a library cannot do is absent. */
export interface Connected {
  echo(message: Small): Promise<Small>;
  echoBytes?(bytes: Uint8Array): Promise<Uint8Array>;
  /** Has the server write to us. Resolves once the last message was received. */
  download?(writing: Writing, onMessage: () => void): Promise<void>;
  /** Writes to the server. Resolves with how many messages it says to have received. */
  upload?(writing: Writing): Promise<number>;
  /** Resolves once the server knows of it. */
  subscribe?(onEvent: () => void): Promise<void>;
  /** Has the server tell all subscribers. */
  publish?(message: Small): Promise<unknown>;
  cut?: Cut | undefined;
}

/** A connection that can be cut without its session's end. */
export interface Cut {
  /** Destroys the socket. Nothing is dialled until {@link reopen}. */
  cut(): void;
  /** Dials again. Resolves with when the new connection was open, in milliseconds of `performance.now()`. */
  reopen(): Promise<number>;
}

/** A library in a clients' process. */
export interface ClientSide {
  /** Resolves once a call was answered. */
  connect(port: number): Promise<Connected>;
  audit?: ClientAudit | undefined;
}

/** A library in a server's process. */
export interface ServerSide {
  /** @param recovers with connections that can be recovered, where a library has that as an option */
  listen(recovers: boolean): Promise<{ port: number }>;
  /** Tells all subscribers, also those that are away where the library keeps it for them. */
  publish?(message: Small): void;
  /** Clients whose connection is open. */
  connected?(): number;
  audit?: ServerAudit | undefined;
}

/** What the sessions of one process agreed on. */
export interface Spoken {
  sessions: number;
  /** Extensions that must be spoken, and in which session they are not. */
  missing: string[];
}

/** Whether a library really does what it claims to do: only ours is asked. */
export interface ServerAudit {
  spoken(): Spoken;
  /** Checks of what clients sent and of what they were sent, by schemas that count, since the process began. */
  checks(): { requests: number; responses: number };
}

/** The clients' half of it. */
export interface ClientAudit {
  spoken(): Spoken;
  /** Calls and streams whose every schema counts how often it is used. */
  talk(port: number): Promise<Exchanged>;
}

/** What was sent and received of what has a schema. */
export interface Exchanged {
  sent: number;
  received: number;
}

/** The libraries, in the order of the table's columns. */
export const libraries = ['holdfast', 'ws', 'Socket.IO', 'tRPC', 'gRPC', 'capnweb'] as const;
export type LibraryName = (typeof libraries)[number];

/** A process loads its own library and no other: what they weigh is measured. */
export const sides: Readonly<
  Record<LibraryName, { server: () => Promise<{ server: ServerSide }>; client: () => Promise<{ client: ClientSide }> }>
> = {
  holdfast: { server: () => import('./holdfast/server.ts'), client: () => import('./holdfast/client.ts') },
  ws: { server: () => import('./ws/server.ts'), client: () => import('./ws/client.ts') },
  'Socket.IO': {
    server: () => import('./rivals/socketioServer.ts'),
    client: () => import('./rivals/socketioClient.ts'),
  },
  tRPC: { server: () => import('./rivals/trpcServer.ts'), client: () => import('./rivals/trpcClient.ts') },
  gRPC: { server: () => import('./rivals/grpcServer.ts'), client: () => import('./rivals/grpcClient.ts') },
  capnweb: { server: () => import('./rivals/capnwebServer.ts'), client: () => import('./rivals/capnwebClient.ts') },
};

/** @throws {TypeError} for a name that is none of {@link libraries} */
export function libraryNamed(name: string | undefined): LibraryName {
  const known = libraries.find((library) => library === name);
  if (known === undefined) throw new TypeError(`expected one of ${libraries.join(', ')}, got '${name}'`);
  return known;
}
