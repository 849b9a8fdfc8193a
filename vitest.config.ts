import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import manifest from './package.json' with { type: 'json' };

const fromRoot = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The package's own entry points, so that tests and examples may import `holdfast/…` without a build. */
const selfReferences = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === 'string'
    ? []
    : [
        {
          find: new RegExp(`^holdfast${subpath.slice(1)}$`),
          replacement: fromRoot(target.default.replace('./dist/', './').replace(/\.js$/, '.ts')),
        },
      ],
);

export default defineConfig({
  resolve: {
    alias: [
      { find: '#default-websocket', replacement: fromRoot('./transport/impls/ws/defaultWebSocket.node.ts') },
      ...selfReferences,
    ],
  },
  test: {
    include: ['__tests__/**/*.test.ts'],
    // What takes long is named *.slow.test.ts and left to `npm run test:all`.
    exclude: process.env['HOLDFAST_TEST_ALL'] === '1' ? [] : ['__tests__/**/*.slow.test.ts'],
    pool: 'forks',
    // By default one core is left idle; nothing else runs beside the tests.
    maxWorkers: '100%',
    retry: 0,
    testTimeout: 10_000,
    hookTimeout: 10_000,
    typecheck: {
      enabled: true,
      include: ['__tests__/**/*.test-d.ts'],
      checker: 'tsc',
      // `npm run types` judges the sources; here only the type tests count.
      ignoreSourceErrors: true,
      tsconfig: './tsconfig.json',
    },
  },
});
