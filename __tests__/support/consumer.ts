import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Compilers that our types are promised to. */
export const compilers = { '5.4': 'typescript-5.4', current: 'typescript' } as const;
/** One of {@link compilers}. */
export type Compiler = keyof typeof compilers;

function run(command: string, args: readonly string[], cwd: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, output: `${stdout}${stderr}` });
    });
  });
}

/** A project in an empty folder that has our package, as published, among its dependencies. */
export class Consumer implements AsyncDisposable {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** @param packages what it has installed besides ours and what ours depends on */
  static async create(packages: readonly string[] = []): Promise<Consumer> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-consumer-'));
    for (const name of ['@sinclair/typebox', 'msgpackr', 'nanoid', 'ws', ...packages]) {
      const target = join(folder, 'node_modules', name);
      await mkdir(dirname(target), { recursive: true });
      await symlink(join(root, 'node_modules', name), target);
    }
    // Not a link to the repository, whose own node_modules would answer for what the consumer lacks.
    const own = join(folder, 'node_modules', 'holdfast');
    await mkdir(own, { recursive: true });
    await symlink(join(root, 'package.json'), join(own, 'package.json'));
    await run('cp', ['-r', join(root, 'dist'), join(own, 'dist')], root);
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', type: 'module', private: true }));
    return new Consumer(folder);
  }

  async write(file: string, text: string): Promise<void> {
    await writeFile(join(this.folder, file), text);
  }

  /** Type-checks, and emits if asked to; returns the compiler's complaints, empty if there are none. */
  async compile(compiler: Compiler, options: Record<string, unknown> = {}): Promise<string> {
    const compilerOptions = {
      target: 'ES2022',
      lib: ['ES2022', 'DOM'],
      module: 'NodeNext',
      moduleResolution: 'NodeNext',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      types: [],
      noEmit: true,
      ...options,
    };
    await this.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    const tsc = join(dirname(require.resolve(`${compilers[compiler]}/package.json`)), 'bin', 'tsc');
    const { output } = await run(process.execPath, [tsc, '-p', '.'], this.folder);
    return output.trim();
  }

  /** Runs a script of the project. */
  node(script: string, args: readonly string[] = []): Promise<{ code: number; output: string }> {
    return run(process.execPath, [script, ...args], this.folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
