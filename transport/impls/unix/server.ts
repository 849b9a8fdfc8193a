import type { BigIntStats } from 'node:fs';
import { link, lstat, rename, unlink } from 'node:fs/promises';
import { createConnection, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { systemClock } from '../../clock.ts';
import type { ServerTransportOptions } from '../../options.ts';
import { ServerTransport } from '../../server.ts';
import { UnixConnection } from './connection.ts';
import { assertPathFits, explainSocketError, UnixSocketError } from './errors.ts';

export { UnixSocketError } from './errors.ts';

/** A server over Unix domain sockets. */
export class UnixDomainSocketServerTransport extends ServerTransport {
  readonly #server: Server;

  /** @param server stays yours: closing the transport closes its connections and leaves `server` listening */
  constructor(server: Server, clientId?: string, options: ServerTransportOptions = {}) {
    super(clientId, options);
    this.#server = server;
    server.on('connection', this.#onConnection);
  }

  readonly #onConnection = (socket: Socket): void => {
    this.acceptConnection(new UnixConnection(socket, this.options.maxMessageBytes, this.clock));
  };

  protected override onClose(): void {
    super.onClose();
    this.#server.off('connection', this.#onConnection);
  }
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createConnection(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(explainSocketError(error, path));
    });
  });
}

/** Which file it is: the number of one that is gone may be given to the next. */
interface FileIdentity {
  readonly ino: bigint;
  readonly mtimeNs: bigint;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/**
 * The socket file that a process which is gone left at `path`; undefined if there is none.
 * @throws {UnixSocketError} what is no socket, and what somebody listens on, is left alone
 */
async function findStaleSocket(path: string): Promise<FileIdentity | undefined> {
  let file: BigIntStats;
  try {
    file = await lstat(path, { bigint: true });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw explainSocketError(error, path);
  }
  if (!file.isSocket()) throw new UnixSocketError('NOT_A_SOCKET', `there is a file that is not a socket: ${path}`);
  if (await isListening(path)) throw new UnixSocketError('IN_USE', `another process listens on this socket: ${path}`);
  return file;
}

/**
 * Removes a stale file, unless another process has done so meanwhile, and may listen there by now.
 * @returns false if it was another file
 */
async function remove(stale: FileIdentity, path: string): Promise<boolean> {
  // Out of the way first: what is looked at is then what is removed.
  const aside = `${path}.${systemClock.id()}`;
  await rename(path, aside);
  const { ino, mtimeNs } = await lstat(aside, { bigint: true });
  const isStale = ino === stale.ino && mtimeNs === stale.mtimeNs;
  if (!isStale) await link(aside, path);
  await unlink(aside);
  return isStale;
}

async function removeStaleSocket(path: string): Promise<void> {
  for (let stale = await findStaleSocket(path); stale !== undefined; stale = await findStaleSocket(path)) {
    try {
      if (await remove(stale, path)) return;
    } catch (error) {
      if (!isMissing(error)) throw explainSocketError(error, path);
    }
  }
}

/**
 * Listens on a Unix socket; a file left behind by a process that is gone is replaced.
 * @throws {UnixSocketError} `PATH_TOO_LONG`, `IN_USE`, `NOT_A_SOCKET`, `PERMISSION_DENIED`, `NO_SOCKET` (no such folder)
 */
export async function listenOnUnixSocket(server: Server, path: string): Promise<void> {
  assertPathFits(path);
  // The system would call a missing folder a lack of permission.
  const folder = dirname(path);
  await lstat(folder).catch((error: unknown) => {
    if (!isMissing(error)) throw explainSocketError(error, path);
    throw new UnixSocketError('NO_SOCKET', `there is no such folder: ${folder}`, { cause: error });
  });
  await removeStaleSocket(path);
  await new Promise<void>((resolve, reject) => {
    const onError = (error: unknown) => reject(explainSocketError(error, path));
    server.once('error', onError);
    server.listen(path, () => {
      server.off('error', onError);
      resolve();
    });
  });
}
