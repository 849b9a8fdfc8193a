import { HoldfastError } from '../../errors.ts';

/** A Unix socket cannot be used; the message says why, in terms of its path. */
export class UnixSocketError extends HoldfastError {}

/** `sun_path` of Linux, less its terminating zero; macOS and the BSDs take 103. */
const MAX_PATH_BYTES = 107;

/** @throws {UnixSocketError} `PATH_TOO_LONG`: the kernel would cut it off, or refuse it without saying why */
export function assertPathFits(path: string): void {
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > MAX_PATH_BYTES) {
    throw new UnixSocketError(
      'PATH_TOO_LONG',
      `a Unix socket path has at most ${MAX_PATH_BYTES} bytes, got ${bytes}: ${path}`,
    );
  }
}

const causes: Readonly<Record<string, readonly [code: string, text: string]>> = {
  ENOENT: ['NO_SOCKET', 'there is no socket at this path'],
  ECONNREFUSED: ['NOBODY_LISTENS', 'nobody listens on this socket: its file was left behind by a process that is gone'],
  EACCES: ['PERMISSION_DENIED', 'permission to use this socket was denied'],
  EPERM: ['PERMISSION_DENIED', 'permission to use this socket was denied'],
  ENOTSOCK: ['NOT_A_SOCKET', 'this file is not a socket'],
  EADDRINUSE: ['IN_USE', 'another process listens on this socket'],
  EAGAIN: ['BACKLOG_FULL', 'more connections wait on this socket than its server takes'],
};

/** Puts the error of a system call in terms of the path. */
export function explainSocketError(error: unknown, path: string): UnixSocketError {
  const errno = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const [code, text] = causes[errno] ?? ['SOCKET_FAILED', error instanceof Error ? error.message : String(error)];
  return new UnixSocketError(code, `${text}: ${path}`, { cause: error });
}
