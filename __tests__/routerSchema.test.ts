import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Type } from '@sinclair/typebox';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { Procedure } from '../router/procedures.ts';
import { Ok } from '../router/result.ts';
import { createRoutes } from '../router/routes.ts';
import { compileSchema, describeErrors } from '../router/schema.ts';
import { createServiceSchema } from '../router/services.ts';
import { InvalidOptionsError } from '../transport/errors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

const Person = Type.Object({
  name: Type.String(),
  tags: Type.Array(Type.String()),
  friend: Type.Optional(Type.Object({ name: Type.String() })),
});

describe('a compiled schema', () => {
  test('is compiled once', () => {
    expect(compileSchema(Person)).toBe(compileSchema(Person));
  });

  test.each<[unknown, boolean]>([
    [{ name: 'a', tags: [] }, true],
    [{ name: 'a', tags: ['b'], friend: { name: 'c' } }, true],
    [{ name: 'a', tags: ['b'], friend: undefined }, true],
    [{ name: 'a', tags: [3] }, false],
    [{ name: 'a' }, false],
    [null, false],
    [[], false],
  ])('checks %j: %s', (value, fits) => {
    expect(compileSchema(Person).check(value)).toBe(fits);
    expect(compileSchema(Person).errors(value).totalErrors === 0).toBe(fits);
  });

  test('names the first places only, however many there are and however long their names', () => {
    const schema = compileSchema(Type.Record(Type.String(), Type.Number()));
    const wrong = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`${i}${'x'.repeat(1_000)}`, 'y']));
    const errors = schema.errors(wrong);
    expect(errors.firstValidationErrors).toHaveLength(10);
    expect(errors.totalErrors).toBe(100);
    expect(describeErrors(errors).length).toBeLessThan(3_000);
    expect(describeErrors(errors)).toMatch(/; and 90 more$/);
  });

  test('strips a copy, and binary content stays what it is', () => {
    const schema = compileSchema(
      Type.Object({ bytes: Type.Uint8Array(), list: Type.Array(Type.Object({ a: Type.Number() })) }),
    );
    const value = { bytes: new Uint8Array([1, 2]), list: [{ a: 1, b: 2 }], c: 3 };
    expect(schema.strip(value)).toEqual({ bytes: new Uint8Array([1, 2]), list: [{ a: 1 }] });
    expect(value).toEqual({ bytes: new Uint8Array([1, 2]), list: [{ a: 1, b: 2 }], c: 3 });
  });
});

describe('what is no schema of TypeBox 0.34', () => {
  const isOfAnother = { type: 'object', required: [], properties: {} };

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ["'text'", 'text'],
    ['a function', () => true],
    ['an object', isOfAnother],
    ['one of typebox 1.x', { ...isOfAnother, '~kind': 'Object' }],
    ['one of zod', { '~standard': { version: 1, vendor: 'zod', validate: () => ({ value: 1 }) } }],
    ['one with a part that is none', Type.Object({ part: isOfAnother as never })],
  ])('is refused by what it is: %s', (came, schema) => {
    const error = new InvalidOptionsError(`event: expected a schema of @sinclair/typebox 0.34, got ${came}`);
    expect(() => compileSchema(schema as never, 'event')).toThrow(error);
  });

  test('is found when a server starts, by the name of its procedure', () => {
    const wrong = Procedure.rpc({
      requestInit: Type.Object({}),
      responseData: isOfAnother as never,
      handler: () => Ok({} as never),
    });
    const services = { chat: createServiceSchema().define({ say: wrong }) };
    expect(() => createRoutes(services, {}, [])).toThrow(
      'chat.say, responseData: expected a schema of @sinclair/typebox 0.34, got an object',
    );
  });
});

/** A script that says how it checks, in a bundle of its own so that a fresh process runs it. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: `
        import { Type } from '@sinclair/typebox';
        import { compileSchema } from './router/schema.ts';
        const schema = compileSchema(Type.Object({ n: Type.Number() }));
        const verdicts = [schema.check({ n: 1 }), schema.check({ n: 'x' }), schema.errors({ n: 'x' }).firstValidationErrors[0].path];
        console.log(JSON.stringify([schema.constructor.name, ...verdicts, globalThis.attempts ?? 0]));`,
      resolveDir: root,
    },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'iife', // in a script of its own, TypeBox's names would become the process's globals
    keepNames: true,
  });
  return outputFiles[0]?.text ?? '';
}

function run(script: string, ...flags: string[]): unknown {
  return JSON.parse(execFileSync(process.execPath, [...flags, '-'], { input: script, encoding: 'utf8' }));
}

describe('code', () => {
  /** Counts every attempt to make code of text. */
  const spy = `
    globalThis.attempts = 0;
    const original = globalThis.Function;
    globalThis.Function = new Proxy(original, {
      apply(target, self, args) { globalThis.attempts += 1; return Reflect.apply(target, self, args); },
      construct(target, args) { globalThis.attempts += 1; return Reflect.construct(target, args); },
    });
  `;

  test('is generated on a server', async () => {
    expect(run(`${spy}${await bundle()}`)).toEqual(['GeneratedSchema', true, false, '/n', 2]);
  });

  test('is tried once and done without where it is forbidden', async () => {
    const script = await bundle();
    expect(run(`${spy}${script}`, '--disallow-code-generation-from-strings')).toEqual([
      'WalkedSchema',
      true,
      false,
      '/n',
      1,
    ]);
  });

  test.each([
    ['a page', 'globalThis.document = {};'],
    ['a worker', "Object.defineProperty(globalThis, 'process', { value: undefined });"],
  ])('is not even tried in %s', async (_where, disguise) => {
    const script = `${spy}${disguise}${await bundle()}`;
    expect(run(script)).toEqual(['WalkedSchema', true, false, '/n', 0]);
  });
});

describe('a browser bundle', () => {
  async function inputsOf(contents: string): Promise<string[]> {
    const { metafile } = await build({
      stdin: { contents, resolveDir: root },
      bundle: true,
      write: false,
      platform: 'browser',
      format: 'esm',
      metafile: true,
      external: ['#default-websocket'],
    });
    const [output] = Object.values(metafile.outputs);
    return Object.entries(output?.inputs ?? {}).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput > 0 ? [path] : [],
    );
  }

  test.each([
    "export * from './router/client.ts';",
    "export * from './router/connect.ts';",
    "export * from './router/handshake.ts';",
    "export { connect, createClient, createClientHandshakeOptions, values, Ok, Err, unwrapOrThrow, CANCEL_CODE, CallError } from './index.ts';",
  ])('of %s holds no TypeBox', async (contents) => {
    const inputs = await inputsOf(contents);
    expect(inputs.length).toBeGreaterThan(0);
    expect(inputs.filter((path) => path.includes('typebox'))).toEqual([]);
  });

  test('of a server holds it, or the test above could not fail', async () => {
    const inputs = await inputsOf("export { createServer } from './index.ts';");
    expect(inputs.some((path) => path.includes('typebox'))).toBe(true);
  });
});
