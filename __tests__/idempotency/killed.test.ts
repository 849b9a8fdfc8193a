import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../router/client.ts';
import { Ok } from '../../router/result.ts';
import { UnixDomainSocketClientTransport } from '../../transport/impls/unix/client.ts';
import type { Shop } from '../support/shop.ts';

// Beside the sources, so that it finds what is installed.
const script = fileURLToPath(new URL(`./.child-${process.pid}.mjs`, import.meta.url));

beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('./child.ts', import.meta.url))],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'silent',
  });
});
afterAll(() => rmSync(script, { force: true }));

/** A process that has said it is ready, and the promise of its end. */
async function start(argv: string[]): Promise<{ child: ChildProcess; ended: Promise<unknown> }> {
  const child = fork(script, argv);
  const ended = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the server ended with ${code} before it listened`)));
  });
  return { child, ended };
}

const unknown = { ok: false, payload: { code: 'OUTCOME_UNKNOWN', message: expect.any(String) } };

describe('a server with its outcomes in SQLite that is killed', () => {
  test.each([
    { place: 'before the claim', result: Ok({ number: 1 }), orders: 1 },
    { place: 'after the claim', result: unknown, orders: 0 },
    { place: 'after the effect', result: unknown, orders: 1 },
    { place: 'before the outcome', result: unknown, orders: 1 },
    { place: 'after the outcome', result: Ok({ number: 1 }), orders: 1 },
  ])(
    '$place executes nothing twice: the client asks again by itself, and hears what can be known',
    async ({ place, result, orders }) => {
      const folder = mkdtempSync(join(tmpdir(), 'holdfast-killed-'));
      const [path, file, effects] = ['shop.sock', 'outcomes.db', 'effects'].map((name) => join(folder, name));
      const argv = [path ?? '', file ?? '', effects ?? ''];
      const dying = await start([...argv, place]);
      const transport = new UnixDomainSocketClientTransport(argv[0] ?? '', 'client-1', { baseIntervalMs: 20 });
      let next: Awaited<ReturnType<typeof start>> | undefined;
      try {
        const client = createClient<Shop>(transport);
        const place = () => client.orders.place.rpc({ item: 'book' }, { idempotencyKey: 'a', timeoutMs: 8_000 });
        const placed = place();
        expect(await dying.ended).toBe('SIGKILL');
        next = await start(argv);
        expect(await placed).toEqual(result);
        // Whoever asks once more hears the same.
        expect(await place()).toEqual(result);
        const lines = existsSync(argv[2] ?? '') ? readFileSync(argv[2] ?? '', 'utf8').split('\n').length - 1 : 0;
        expect(lines).toBe(orders);
      } finally {
        transport.close();
        next?.child.kill('SIGKILL');
        await next?.ended;
        rmSync(folder, { recursive: true });
      }
    },
    20_000,
  );
});
