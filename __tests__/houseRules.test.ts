import { describe, expect, test } from 'vitest';
import { platformUses } from './support/houseRules.ts';
import { coreFolders, publishedSources, readSource } from './support/sources.ts';

const core = new Map([...publishedSources()].filter(([path]) => coreFolders.includes(path.split('/', 1)[0] ?? '')));

describe('time, timers, randomness and ids are handed in', () => {
  test('no core file asks the platform for them', () => {
    expect(core.size).toBeGreaterThan(20);
    expect(platformUses(core)).toEqual([]);
  });

  test.each([
    'Date.now()',
    "Date['now']()",
    'globalThis.Date.now()',
    'const { now } = { now: Date.now };',
    'new Date()',
    'new Date',
    'Date()',
    'performance.now()',
    'const p = performance;',
    'globalThis.performance.now()',
    'Math.random()',
    'const r = Math.random;',
    'setTimeout(f, 1)',
    'const t = { setTimeout };',
    'const t = { timer: setInterval };',
    'window.setTimeout(f, 1)',
    "globalThis['setImmediate'](f)",
    'function f(timer = setInterval) {}',
    'AbortSignal.timeout(5)',
    'crypto.randomUUID()',
    'globalThis.crypto.getRandomValues(a)',
    'process.hrtime.bigint()',
    "import { nanoid } from 'nanoid';",
    "import { customAlphabet } from 'nanoid/non-secure';",
    "import { randomUUID } from 'node:crypto';",
    "import { setTimeout as sleep } from 'node:timers/promises';",
  ])('%s is found', (text) => {
    expect(platformUses(new Map([['codec/a.ts', `\n${text}`]])).join()).toMatch(/^codec\/a\.ts:2: /);
  });

  test.each([
    'clock.now(); options.clock.random(); this.clock.after(1, f);',
    'new Date(0); const d: Date = new Date(ms); Date.UTC(2000, 1); Math.max(1, 2);',
    'interface Timers { setTimeout(): void; performance: number } ({ setTimeout: f, crypto() {} });',
    'class A { setTimeout() {} } a.setTimeout(1); a.performance.now();',
    '// Date.now() and setTimeout\nconst text = "Math.random()";',
    'type T = typeof import("./x.ts"); AbortSignal.any([]);',
  ])('%s is let pass', (text) => {
    expect(platformUses(new Map([['codec/a.ts', text]]))).toEqual([]);
  });

  test('only the clock and the ids are exempt', () => {
    const text = 'Date.now();';
    const files = ['transport/clock.ts', 'transport/id.ts', 'transport/clock2.ts', 'router/clock.ts'];
    expect(platformUses(new Map(files.map((path) => [path, text])))).toEqual([
      'transport/clock2.ts:1: Date.now',
      'router/clock.ts:1: Date.now',
    ]);
  });
});

test('the lock file carries no download addresses', () => {
  expect(readSource('.npmrc')).toContain('omit-lockfile-registry-resolved=true');
  expect(readSource('package-lock.json')).not.toMatch(/"resolved"|https?:\/\/[^"]*registry/);
});
