import { spawn, spawnSync } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Type } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { Procedure } from '../../router/procedures.ts';
import { Err, Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { Relay } from '../../testUtil/relay.ts';
import { WebSocketServerTransport } from '../../transport/impls/ws/server.ts';
import { readMalformed, readVectors } from '../vectors/vectors.ts';

const folder = fileURLToPath(new URL('../../examples/python/', import.meta.url));
const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython) console.warn('python3 is missing: the tests of the Python client are skipped');

const Pair = Type.Object({ a: Type.Number(), b: Type.Number() });
const Numbered = Type.Object({ i: Type.Number() });
/** How long the relay loses every byte before it breaks the connection: both sides send into it and notice nothing. */
const LOSS_MS = 60;
/** How long it lets nobody through after that: both sides go on sending meanwhile. */
const OUTAGE_MS = 150;

/** What the demo calls. `cut` is called in the middle of a subscription. */
function demoService(cut: () => void, collected: number[]) {
  return createServiceSchema().define({
    add: Procedure.rpc({
      requestInit: Pair,
      responseData: Type.Object({ sum: Type.Number() }),
      async handler({ reqInit: { a, b } }) {
        return Ok({ sum: a + b });
      },
    }),
    divide: Procedure.rpc({
      requestInit: Pair,
      responseData: Type.Object({ quotient: Type.Number() }),
      responseError: Type.Object({ code: Type.Literal('DIV_BY_ZERO'), message: Type.String() }),
      async handler({ reqInit: { a, b } }) {
        return b === 0 ? Err({ code: 'DIV_BY_ZERO', message: 'cannot divide by zero' }) : Ok({ quotient: a / b });
      },
    }),
    echo: Procedure.rpc({
      requestInit: Type.Unknown(),
      responseData: Type.Unknown(),
      async handler({ reqInit }) {
        return Ok(reqInit);
      },
    }),
    count: Procedure.subscription({
      requestInit: Type.Object({ to: Type.Number() }),
      responseData: Numbered,
      async handler({ ctx, reqInit: { to }, resWritable }) {
        let i = 0;
        const stop = ctx.clock.every(2, () => {
          resWritable.write(Ok({ i: i++ }));
          if (i === to / 4) cut();
          if (i < to) return;
          stop();
          resWritable.close();
        });
        ctx.deferCleanup(stop);
      },
    }),
    collect: Procedure.upload({
      requestInit: Type.Object({}),
      requestData: Numbered,
      responseData: Type.Object({ values: Type.Array(Type.Number()) }),
      async handler({ ctx, reqReadable }) {
        for await (const request of reqReadable) {
          if (!request.ok) return ctx.cancel(request.payload.code);
          collected.push(request.payload.i);
        }
        return Ok({ values: collected });
      },
    }),
  });
}

/** Runs one script of examples/python; its lines, or a throw with what it wrote. */
function runPython(args: string[]): Promise<string[]> {
  const python = spawn('python3', args, { cwd: folder, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } });
  let output = '';
  let errors = '';
  python.stdout.on('data', (chunk) => {
    output += chunk;
  });
  python.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  return new Promise((resolve, reject) => {
    python.on('error', reject);
    python.on('close', (code) => {
      if (code === 0) resolve(output.trim().split('\n'));
      else reject(new Error(`python3 ended with ${code}\n${output}${errors}`));
    });
  });
}

test.skipIf(!hasPython)(
  'a client written from PROTOCOL.md calls, subscribes, is cut off and resumes, and nothing is lost or repeated',
  async () => {
    const transport = new WebSocketServerTransport(undefined);
    const http = createHttpServer();
    http.on('upgrade', (request, socket, head) => transport.handleUpgrade(request, socket, head));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const address = http.address();
    const relay = await Relay.start(
      { port: 0 },
      { port: typeof address === 'object' && address !== null ? address.port : 0 },
    );
    let cuts = 0;
    const collected: number[] = [];
    const cut = (): void => {
      cuts += 1;
      relay.halfOpen();
      setTimeout(() => {
        relay.setUp(false);
        relay.cut();
        setTimeout(() => relay.setUp(true), OUTAGE_MS);
      }, LOSS_MS);
    };
    const server = createServer(transport, { demo: demoService(cut, collected) });
    const sessions = new Set<string>();
    const refusals: (string | undefined)[] = [];
    let attached = 0;
    transport.addEventListener('sessionTransition', ({ id, state }) => {
      sessions.add(id);
      if (state === 'Connected') attached += 1;
    });
    transport.addEventListener('protocolError', ({ code }) => refusals.push(code));
    try {
      const lines = await runPython(['demo.py', `ws://127.0.0.1:${relay.port}`]);
      expect(lines.slice(0, -1).filter((line) => !line.startsWith('ok '))).toEqual([]);
      expect(lines).toHaveLength(11);
      expect(lines.at(-1)).toBe(`connections ${attached} session ${[...sessions].join()}`);
      expect(collected).toEqual(Array.from({ length: 200 }, (_, i) => i));
      expect([cuts, sessions.size, attached]).toEqual([1, 1, 2]);
      expect(refusals).toEqual(['SESSION_STATE_MISMATCH']);
    } finally {
      await relay.close();
      await server.close();
      transport.close();
      http.close();
    }
  },
  30_000,
);

test.skipIf(!hasPython)('the Python codec reads every JSON vector, and writes the same bytes again', async () => {
  const frames = readVectors().filter(({ codec }) => codec === 'json');
  expect(frames.length).toBeGreaterThan(20);
  const script = [
    'import sys, holdfast_wire as h',
    'for text in sys.argv[1:]:',
    '    print(h.encode(h.decode(bytes.fromhex(text))).hex())',
  ].join('\n');
  const written = await runPython(['-c', script, ...frames.map(({ hex }) => hex)]);
  expect(written).toEqual(frames.map(({ hex }) => hex));
});

test.skipIf(!hasPython)('the Python codec refuses every malformed JSON frame', async () => {
  const frames = readMalformed().filter(({ codec }) => codec === 'json');
  expect(frames.length).toBeGreaterThan(5);
  const script = [
    'import sys, holdfast_wire as h',
    'for text in sys.argv[1:]:',
    '    try:',
    '        print("taken", h.decode(bytes.fromhex(text)))',
    '    except ValueError:',
    '        print("refused")',
  ].join('\n');
  const verdicts = await runPython(['-c', script, ...frames.map(({ hex }) => hex)]);
  expect(verdicts).toEqual(frames.map(() => 'refused'));
});
