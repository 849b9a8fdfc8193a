import { describe, expect, test } from 'vitest';
import { type Compiler, Consumer, compilers } from './support/consumer.ts';

const names = Object.keys(compilers) as Compiler[]; // the keys of compilers
const SECONDS = 1_000;
const PER_SERVICE = 10;
const kinds = ['rpc', 'upload', 'subscription', 'stream'] as const;

function kindOf(index: number): (typeof kinds)[number] {
  return kinds[index % kinds.length] ?? 'rpc';
}

/** One procedure, with schemas that no other has: a shared one would be counted once. */
function procedure(index: number): string {
  const service = Math.floor(index / PER_SERVICE);
  const kind = kindOf(index);
  const init = `requestInit: Type.Object({ a${index}: Type.Number(), b: Type.String(), c: Type.Optional(Type.Array(Type.String())), d: Type.Object({ e${index}: Type.Boolean() }) })`;
  const data = `responseData: Type.Object({ result${index}: Type.Number(), kind: Type.Union([Type.Literal('a'), Type.Literal('b')]) })`;
  const error = `responseError: Type.Object({ code: Type.Literal('E${index}'), message: Type.String(), extras: Type.Object({ x${index}: Type.Number() }) })`;
  const request = `requestData: Type.Object({ q${index}: Type.Number(), m: Type.Optional(Type.String()) })`;
  const answer = `
      if (reqInit.b === 'x') return Err({ code: 'E${index}', message: 'no', extras: { x${index}: reqInit.a${index} } });
      return Ok({ result${index}: ctx.state.count${service}, kind: 'a' });`;
  const write = `resWritable.write(Ok({ result${index}: ctx.state.count${service} + reqInit.a${index}, kind: 'b' })); resWritable.close();`;
  const read = `for await (const r of reqReadable) { if (r.ok) ctx.state.count${service} += r.payload.q${index}; }`;
  const parts = {
    rpc: `${init}, ${data}, ${error}, async handler({ ctx, reqInit }) {${answer} }`,
    upload: `${init}, ${request}, ${data}, ${error}, async handler({ ctx, reqInit, reqReadable }) { ${read} ${answer} }`,
    subscription: `${init}, ${data}, ${error}, async handler({ ctx, reqInit, resWritable }) { ${write} }`,
    stream: `${init}, ${request}, ${data}, ${error}, async handler({ ctx, reqInit, reqReadable, resWritable }) { ${read} ${write} }`,
  };
  return `  p${index}: Procedure.${kind}({ ${parts[kind]} }),`;
}

/** A use of it by a client that looks at everything it gets. */
function use(index: number): string {
  const call = `client.s${Math.floor(index / PER_SERVICE)}.p${index}`;
  const init = `{ a${index}: 1, b: 'q', d: { e${index}: true } }`;
  const look = `if (!r.ok) return r.payload.code === 'E${index}' ? r.payload.extras.x${index} : 0; return r.payload.result${index};`;
  const parts = {
    rpc: `const r = await ${call}.rpc(${init}); ${look}`,
    upload: `const { reqWritable, finalize } = ${call}.upload(${init}); reqWritable.write({ q${index}: 3 }); const r = await finalize(); ${look}`,
    subscription: `const { resReadable } = ${call}.subscribe(${init}); for await (const r of resReadable) { ${look} } return 0;`,
    stream: `const { reqWritable, resReadable } = ${call}.stream(${init}); reqWritable.write({ q${index}: 3 }); for await (const r of resReadable) { ${look} } return 0;`,
  };
  return `export async function use${index}(): Promise<number> { ${parts[kindOf(index)]} }`;
}

function project(procedures: number): string {
  const indices = Array.from({ length: procedures }, (_, index) => index);
  const services = Array.from({ length: Math.ceil(procedures / PER_SERVICE) }, (_, service) => {
    const own = indices.filter((index) => Math.floor(index / PER_SERVICE) === service).map(procedure);
    return `export const s${service} = Service.define({ initializeState: () => ({ count${service}: 0 }) }, {\n${own.join('\n')}\n});`;
  });
  return `
import { Type } from '@sinclair/typebox';
import { createClient, createServer, createServerHandshakeOptions, createServiceSchema, Err, Ok, Procedure } from 'holdfast';
import type { ClientTransport, ServerTransport } from 'holdfast/transport';
const Service = createServiceSchema<{ db: string }, { user: string }>();
${services.join('\n')}
export const services = { ${services.map((_, service) => `s${service}`).join(', ')} };
declare const clientTransport: ClientTransport;
declare const serverTransport: ServerTransport;
const handshakeOptions = createServerHandshakeOptions(Type.Object({}), () => ({ user: 'x' }));
export const server = createServer(serverTransport, services, { extendedContext: { db: 'x' }, handshakeOptions });
const client = createClient<typeof services>(clientTransport);
${indices.map(use).join('\n')}
`;
}

/** Compiles so many procedures with their client and returns what it cost. */
async function instantiations(procedures: number): Promise<number> {
  await using consumer = await Consumer.create();
  await consumer.write('index.ts', project(procedures));
  const output = await consumer.compile('current', { skipLibCheck: true, extendedDiagnostics: true });
  expect(output).not.toContain('error TS');
  return Number(/Instantiations:\s+(\d+)/.exec(output)?.[1]);
}

describe('types', () => {
  test(
    'of 200 procedures with their client cost at most 600 000 instantiations, and a further one 3 000',
    async () => {
      const [some, more] = [await instantiations(200), await instantiations(220)];
      expect(some).toBeLessThanOrEqual(600_000);
      expect(some).toBeGreaterThan(10_000);
      expect((more - some) / 20).toBeLessThanOrEqual(3_000);
    },
    120 * SECONDS,
  );
});

const requestInit = 'requestInit: Type.Object({})';
const responseData = 'responseData: Type.Object({ result: Type.Number() })';
const wrongResult = `{ p: Procedure.rpc({ ${requestInit}, ${responseData}, async handler() { return Ok({ result: 'x' }); } }) }`;
const anyCode = 'responseError: Type.Object({ code: Type.String(), message: Type.String() })';

/** Three mistakes, each on a line of its own. */
const mistakes = `import { Type } from '@sinclair/typebox';
import { createServiceSchema, Ok, Procedure } from 'holdfast';
const Service = createServiceSchema();
export const withState = Service.define({ initializeState: () => ({ count: 0 }) }, ${wrongResult});
export const without = Service.define(${wrongResult});
export const error = Service.define({ p: Procedure.rpc({ ${requestInit}, ${responseData}, ${anyCode}, async handler() { return Ok({ result: 1 }); } }) });
`;

describe.each(names)('TypeScript %s', (compiler) => {
  test(
    'infers everything about every kind of procedure',
    async () => {
      await using consumer = await Consumer.create();
      await consumer.write('index.ts', project(2 * PER_SERVICE));
      const options = { declaration: true, noEmit: false, outDir: 'out', skipLibCheck: true };
      expect(await consumer.compile(compiler, options)).toBe('');
    },
    60 * SECONDS,
  );

  test(
    'names the field of a wrong result and the schema of a wrong error',
    async () => {
      await using consumer = await Consumer.create();
      await consumer.write('index.ts', mistakes);
      const output = await consumer.compile(compiler, { skipLibCheck: true });
      expect(output).not.toContain('No overload matches');
      const [withState, without, error, ...more] = output.split(/^(?=index\.ts\()/m);
      expect(more).toEqual([]);
      for (const [text, line] of [[withState, 4] as const, [without, 5] as const]) {
        expect(text).toContain(`index.ts(${line},`);
        expect(text).toContain("Types of property 'result' are incompatible");
        expect(text).toContain("Type 'string' is not assignable to type 'number'");
      }
      expect(error).toContain('index.ts(6,');
      expect(error).toContain("'TObject<{ code: TString; message: TString; }>' is not assignable");
    },
    60 * SECONDS,
  );
});
