import { describe, expect, test } from 'vitest';
import { Scope } from '../../transport/session/scope.ts';

describe('a scope', () => {
  test('ends everything it owns, last one first, and only once', () => {
    const ended: number[] = [];
    const scope = new Scope();
    for (const n of [1, 2, 3]) scope.add(() => ended.push(n));
    expect(ended).toEqual([]);
    scope.end();
    scope.end();
    expect(ended).toEqual([3, 2, 1]);
  });

  test('ends at once what it is given after its end', () => {
    const scope = new Scope();
    scope.end();
    let ended = 0;
    scope.add(() => {
      ended += 1;
    });
    expect(ended).toBe(1);
  });

  test('ends at once what it is given while it ends', () => {
    const ended: string[] = [];
    const scope = new Scope();
    scope.add(() => ended.push('first'));
    scope.add(() => {
      scope.add(() => ended.push('late'));
      ended.push('second');
    });
    scope.end();
    expect(ended).toEqual(['late', 'second', 'first']);
  });

  test('ends the others where one of them throws', () => {
    const ended: number[] = [];
    const scope = new Scope();
    scope.add(() => ended.push(1));
    scope.add(() => {
      throw new Error('cannot be ended');
    });
    scope.add(() => ended.push(3));
    try {
      scope.end();
    } catch {
      // Whether it is reported by throwing is the scope's business; that the others end is what counts.
    }
    expect(ended).toEqual([3, 1]);
  });
});
