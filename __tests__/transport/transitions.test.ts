import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SessionState } from '../../transport/session/common.ts';
import * as transitions from '../../transport/session/transitions.ts';
import { ENTRY, edgesInCode, root, signatures, transitionsFile, WAITING } from '../support/edgeTable.ts';
import { edges, StateBench } from '../support/states.ts';

/** Edges of every state diagram of a page, each diagram by its entry. */
function edgesInDiagrams(page: string): Map<string, string[]> {
  const text = readFileSync(`${root}${page}`, 'utf8');
  const diagrams = new Map<string, string[]>();
  for (const [, body = ''] of text.matchAll(/```mermaid\s+stateDiagram-v2\n([\s\S]*?)```/g)) {
    const found = [...body.matchAll(/^\s*(\[\*\]|\w+)\s*-->\s*(\w+)/gm)].map(([, from, to]) => `${from} --> ${to}`);
    const entry = found.find((edge) => edge.startsWith(ENTRY))?.replace(`${ENTRY} --> `, '') ?? '';
    diagrams.set(entry, found.sort());
  }
  return diagrams;
}

/** Edges of one side as the comment in transitions.ts draws them. */
function edgesInComment(side: 'client' | 'server'): string[] {
  const text = readFileSync(`${root}${transitionsFile}`, 'utf8');
  const [, block = ''] =
    new RegExp(`\\* {3}${side} +([\\s\\S]*?)\\n \\*(?:\\n| {3}(?:client|server))`).exec(text) ?? [];
  const found = new Set<string>();
  for (const clause of block.split(/\n \*|(?<=Connected), (?=Waiting)/)) {
    const steps = clause.trim().split(' → ');
    for (const [index, step] of steps.entries()) {
      const to = steps[index + 1];
      if (to !== undefined) for (const from of step.split(/, | × /)) found.add(`${from} --> ${to}`);
    }
  }
  return [...found].sort();
}

function withoutEntry(list: string[]): string[] {
  return list.filter((edge) => !edge.startsWith(ENTRY));
}

describe('the edge table', () => {
  test('has an edge for every exported function, and each function makes what its types say', () => {
    const exported = Object.entries(transitions)
      .filter(([, value]) => typeof value === 'function')
      .map(([name]) => name);
    expect(
      signatures()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(exported.sort());
    for (const { name, from, to } of signatures()) {
      const edge = edges[name]?.(new StateBench());
      expect(Object.values(edge?.before ?? {}).map((state) => state.state)).toEqual(from);
      expect(edge?.go().state).toBe(to);
    }
  });

  test.each(['client', 'server'] as const)('of the %s is the one that the comment in transitions.ts draws', (side) => {
    expect(edgesInComment(side)).toEqual(withoutEntry(edgesInCode(side)));
  });

  test.each([
    ['client', 'NoConnection'],
    ['server', WAITING],
  ] as const)('of the %s is the diagram in PROTOCOL.md', (side, entry) => {
    expect(edgesInDiagrams('PROTOCOL.md').get(entry)).toEqual(edgesInCode(side));
  });

  test('of the client is the diagram in README.md', () => {
    expect(edgesInDiagrams('README.md').get('NoConnection')).toEqual(edgesInCode('client'));
  });

  test('names every edge of the architecture', () => {
    expect(edgesInCode('client')).toEqual([
      'BackingOff --> Connecting',
      'Connected --> NoConnection',
      'Connecting --> Handshaking',
      'Connecting --> NoConnection',
      'Handshaking --> Connected',
      'Handshaking --> NoConnection',
      'NoConnection --> BackingOff',
      '[*] --> NoConnection',
    ]);
    expect(edgesInCode('server')).toEqual([
      'Connected --> Connected',
      'Connected --> NoConnection',
      'NoConnection --> Connected',
      'WaitingForHandshake --> Connected',
      '[*] --> WaitingForHandshake',
    ]);
  });
});

describe('a state', () => {
  const sources = ['transport', 'router', 'codec']
    .flatMap((folder) =>
      readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`),
    )
    .filter((path) => path.endsWith('.ts'));

  /** Files in which a class of a state is named after `new`. */
  function makersOf(pattern: RegExp): string[] {
    return sources.filter((path) => pattern.test(readFileSync(`${root}${path}`, 'utf8')));
  }

  test('is created in transitions.ts and nowhere else', () => {
    expect(sources.length).toBeGreaterThan(40);
    const classes = Object.values(SessionState).map((state) => `Session${state}`);
    expect(makersOf(new RegExp(`new (${classes.join('|')})\\b`))).toEqual([transitionsFile]);
  });

  test('has a class file of its own for each of the six', () => {
    for (const state of Object.values(SessionState)) expect(sources).toContain(`transport/session/Session${state}.ts`);
  });

  test('never calls a transition: states report, their owner decides', () => {
    const importing = sources.filter(
      (path) =>
        path.startsWith('transport/session/') &&
        /from '\.\/transitions\.ts'/.test(readFileSync(`${root}${path}`, 'utf8')),
    );
    expect(importing).toEqual([]);
  });
});
