import type { Stats } from 'node:fs';
import { lstat, mkdir, rmdir, unlink } from 'node:fs/promises';
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

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** What is at a path; undefined if nothing is. */
async function statusOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw explainSocketError(error, path);
  }
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve));
}

function ageOf({ mtimeMs }: Stats): number {
  return systemClock.wallNow() - mtimeMs;
}

async function assertNobodyListens(path: string): Promise<void> {
  if (await isListening(path)) throw new UnixSocketError('IN_USE', `another process listens on this socket: ${path}`);
}

/** A process binds and listens in one go; who is between the two for so long is gone. */
const LISTENING_BY_MS = 100;

/**
 * Removes the socket file that a process which is gone left at `path`. What is no socket, and what somebody listens
 * on, is left alone.
 */
async function removeStaleSocket(path: string): Promise<void> {
  const file = await statusOf(path);
  if (file === undefined) return;
  if (!file.isSocket()) throw new UnixSocketError('NOT_A_SOCKET', `there is a file that is not a socket: ${path}`);
  await assertNobodyListens(path);
  if (ageOf(file) < LISTENING_BY_MS) {
    await later(LISTENING_BY_MS);
    await assertNobodyListens(path);
  }
  try {
    await unlink(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw explainSocketError(error, path);
  }
}

/** Whoever holds a lock for so long was killed while it did. */
const ABANDONED_AFTER_MS = 5_000;
const ASK_AGAIN_MS = 10;

/** One process at a time replaces a socket file: a folder beside it is the lock, which is made by one of them only. */
async function locked(path: string, work: () => Promise<void>): Promise<void> {
  const lock = `${path}.lock`;
  while (!(await take(lock))) {
    const holder = await statusOf(lock);
    if (holder !== undefined && ageOf(holder) > ABANDONED_AFTER_MS) await release(lock);
    else await later(ASK_AGAIN_MS);
  }
  try {
    await work();
  } finally {
    await release(lock);
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw explainSocketError(error, lock);
  }
}

async function release(lock: string): Promise<void> {
  try {
    await rmdir(lock);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw explainSocketError(error, lock);
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: unknown) => reject(explainSocketError(error, path));
    server.once('error', onError);
    server.listen(path, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

/**
 * Listens on a Unix socket; a file left behind by a process that is gone is replaced, by one process at a time: meanwhile there
 * is a folder beside it whose name ends in `.lock`.
 * @throws {UnixSocketError} `PATH_TOO_LONG`, `IN_USE`, `NOT_A_SOCKET`, `PERMISSION_DENIED`, `NO_SOCKET` (no such folder)
 */
export async function listenOnUnixSocket(server: Server, path: string): Promise<void> {
  assertPathFits(path);
  // The system would call a missing folder a lack of permission.
  const folder = dirname(path);
  if ((await statusOf(folder)) === undefined)
    throw new UnixSocketError('NO_SOCKET', `there is no such folder: ${folder}`);
  if ((await statusOf(path)) === undefined) return listen(server, path);
  await locked(path, async () => {
    await removeStaleSocket(path);
    await listen(server, path);
  });
}
