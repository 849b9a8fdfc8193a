import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript-5.4';
import { SessionState } from '../../transport/session/common.ts';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const transitionsFile = 'transport/session/transitions.ts';
export const ENTRY = '[*]';
export const WAITING = 'WaitingForHandshake';

/** What a function of transitions.ts says by its types. */
interface Signature {
  name: string;
  /** States it consumes. */
  from: string[];
  to: string;
}

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(`${root}${path}`, 'utf8'), ts.ScriptTarget.ES2022, true);
}

function stateOf(type: ts.TypeNode | undefined): string | undefined {
  const name = type?.getText() ?? '';
  const state = name.replace(/^Session/, '');
  return name.startsWith('Session') && state in SessionState ? state : undefined;
}

function isExported(node: ts.FunctionDeclaration): boolean {
  return node.modifiers?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

/** Exported functions that return a state. */
export function signatures(): Signature[] {
  return parse(transitionsFile).statements.flatMap((node) => {
    if (!ts.isFunctionDeclaration(node) || !isExported(node)) return [];
    const to = stateOf(node.type);
    const from = node.parameters.map((parameter) => stateOf(parameter.type)).filter((state) => state !== undefined);
    return to === undefined ? [] : [{ name: node.name?.text ?? '', from, to }];
  });
}

/** The members of an exported union of states. */
function membersOf(alias: string): Set<string> {
  const members = parse(transitionsFile).statements.flatMap((node) =>
    ts.isTypeAliasDeclaration(node) && node.name.text === alias && ts.isUnionTypeNode(node.type)
      ? node.type.types.map((type) => stateOf(type) ?? type.getText())
      : [],
  );
  return new Set(members);
}

/** Edges of one side's graph, from the code. */
export function edgesInCode(side: 'client' | 'server'): string[] {
  const states = membersOf(side === 'client' ? 'ClientSession' : 'ServerSession');
  const found = signatures().flatMap(({ from, to }) => {
    if (from.length === 0) return (to === WAITING) === (side === 'server') ? [`${ENTRY} --> ${to}`] : [];
    const isServers = from.includes(WAITING);
    if (isServers !== (side === 'server') && (isServers || ![...from, to].every((state) => states.has(state))))
      return [];
    // With two states consumed, each of them leads to the new one; a pending connection alone begins a session.
    return from.map((state) => `${state} --> ${to}`);
  });
  return [...new Set(found)].sort();
}
