import type { Host } from '../engine/host.ts';
import type { SimClientTransport, SimServerTransport } from '../engine/transports.ts';
import type { ChainProgram } from './chainWorkload.ts';
import { Disk } from './disk.ts';

/** A process with its program. */
export interface ChainProcess {
  readonly place: ChainPlace;
  readonly host: Host;
  readonly servers: readonly SimServerTransport[];
  readonly clients: readonly SimClientTransport[];
  readonly program: ChainProgram;
}

/** Where processes come and go: one after the other, with one disk. */
export interface ChainPlace {
  readonly name: string;
  readonly role: 'provider' | 'service' | 'leaf';
  host: Host | undefined;
  disk: Disk;
  /** The process dies at so many commits from now. */
  commitsLeft: number;
}

/** Where nobody has been yet. */
export function placeOf(name: string, role: ChainPlace['role']): ChainPlace {
  return { name, role, host: undefined, disk: new Disk(), commitsLeft: Number.POSITIVE_INFINITY };
}

/** What of a process that was closed is left in the engine, if anything. */
export function leftBy({ host, servers, clients }: ChainProcess): string | undefined {
  const left: [string, number][] = [
    ['timers of the transports', host.time.count('transport')],
    ['timers of the application', host.time.count('application')],
    ['callbacks', host.time.waitingForIo],
    ['connections', host.connections.filter((connection) => !connection.isEnded).length],
    ['sessions', [...servers, ...clients].reduce((sum, { sessions }) => sum + sessions.size, 0)],
    ['pending handshakes', servers.reduce((sum, { pendingHandshakes }) => sum + pendingHandshakes, 0)],
  ];
  const found = left.find(([, count]) => count > 0);
  return found === undefined ? undefined : `${found[1]} ${found[0]}`;
}
