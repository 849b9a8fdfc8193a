import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createClient } from '../../router/client.ts';
import { createServer as createRouter } from '../../router/server.ts';
import { UnixDomainSocketClientTransport, UnixSocketError } from '../../transport/impls/unix/client.ts';
import { explainSocketError } from '../../transport/impls/unix/errors.ts';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from '../../transport/impls/unix/server.ts';
import { type Services, services } from '../support/routerServices.ts';

/*
 * What a Unix socket's dial fails with where a server is flooded, and where the system says what nobody foresaw. The other
 * codes: transport/unixSocket.test.ts.
 */

const folder = mkdtempSync(join(tmpdir(), 'holdfast-errors-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function listening(server: Server, path: string, backlog: number): Promise<void> {
  return new Promise((resolve) => server.listen({ path, backlog }, resolve));
}

function dialling(path: string, isFatal: boolean) {
  const errors: unknown[] = [];
  const transport = new UnixDomainSocketClientTransport(path, 'client-1', {
    baseIntervalMs: 1,
    maxJitterMs: 0,
    isFatalConnectionError: (error) => {
      errors.push(error);
      return isFatal;
    },
  });
  return { transport, errors };
}

/** The error of the only dial there was, once the client has given up. */
async function fatalErrorOf(path: string): Promise<UnixSocketError | undefined> {
  const { transport, errors } = dialling(path, true);
  const ended = new Promise<void>((resolve) => {
    transport.addEventListener('sessionStatus', ({ status }) => status === 'closed' && resolve());
  });
  transport.connect('SERVER');
  await ended;
  transport.close();
  expect(errors).toHaveLength(1);
  return errors[0] instanceof UnixSocketError ? errors[0] : undefined;
}

// Elsewhere a full backlog looks like a server that is gone.
describe.skipIf(process.platform !== 'linux')('a server with more connections waiting than it takes', () => {
  test('is BACKLOG_FULL to whoever dials, who tries again and is served when there is room', async () => {
    const path = join(folder, 'full.sock');
    const net = createServer();
    const server = createRouter(new UnixDomainSocketServerTransport(net), services);
    await listening(net, path, 1);
    // All within one turn: nothing is accepted before the client has dialled.
    const crowd: Socket[] = [];
    for (let n = 0; n < 5; n++) crowd.push(createConnection(path).on('error', () => undefined));
    const { transport, errors } = dialling(path, false);
    const client = createClient<Services>(transport);
    expect(await client.math.types.rpc('there is room')).toEqual({ ok: true, payload: 'there is room' });
    expect(errors[0]).toBeInstanceOf(UnixSocketError);
    expect(errors[0]).toMatchObject({ code: 'BACKLOG_FULL', message: expect.stringContaining(path) });
    expect(errors[0]).toMatchObject({ cause: { code: 'EAGAIN' } });
    transport.close();
    for (const socket of crowd) socket.destroy();
    await server.close();
    await new Promise((resolve) => net.close(resolve));
  });
});

describe('an error of the system that has no name here', () => {
  test('is SOCKET_FAILED to whoever dials, with the system’s own as its cause', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const error = await fatalErrorOf(join(file, 'x.sock'));
    expect(error).toMatchObject({ code: 'SOCKET_FAILED', message: expect.stringContaining('ENOTDIR') });
    expect(error?.message).toContain(file);
    expect(error).toMatchObject({ cause: { code: 'ENOTDIR' } });
    const loop = join(folder, 'loop');
    symlinkSync(loop, loop);
    expect(await fatalErrorOf(loop)).toMatchObject({ code: 'SOCKET_FAILED', cause: { code: 'ELOOP' } });
  });

  test('is SOCKET_FAILED to whoever listens', async () => {
    const file = join(folder, 'another file');
    writeFileSync(file, '');
    const failed = listenOnUnixSocket(createServer(), join(file, 'x.sock'));
    await expect(failed).rejects.toBeInstanceOf(UnixSocketError);
    await expect(failed).rejects.toMatchObject({ code: 'SOCKET_FAILED', cause: { code: 'ENOTDIR' } });
  });

  test.each([
    { error: Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), text: 'read ECONNRESET' },
    { error: Object.assign(new Error('too many files'), { code: 'EMFILE' }), text: 'too many files' },
    { error: new Error('without a code'), text: 'without a code' },
    { error: 'a string', text: 'a string' },
    { error: undefined, text: 'undefined' },
    { error: null, text: 'null' },
  ])('is told in terms of the path, whatever it is: $text', ({ error, text }) => {
    const explained = explainSocketError(error, '/run/x.sock');
    expect(explained).toBeInstanceOf(UnixSocketError);
    expect(explained).toMatchObject({ code: 'SOCKET_FAILED', message: `${text}: /run/x.sock` });
    expect(explained.cause).toBe(error);
  });
});
