import ts from 'typescript-5.4';
import { lineOf, parse, type Sources, walk } from './sources.ts';

/** The two files through which the platform's time, timers and randomness come in. */
const exempt = ['transport/clock.ts', 'transport/id.ts'];

/** Names that no core file uses, however it reaches them. */
const forbiddenGlobals = [
  'performance',
  'crypto',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'requestAnimationFrame',
];

const forbiddenMembers = ['Date.now', 'Math.random', 'AbortSignal.timeout', 'process.hrtime', 'process.uptime'];
const globalObjects = ['globalThis', 'window', 'self', 'global'];
const forbiddenModules = /^nanoid(\/|$)|^(node:)?(crypto|timers|timers\/promises|perf_hooks)$/;

/** `a.b` and `a['b']` as the text `a.b`. */
function memberOf(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) return `${node.expression.getText()}.${node.name.text}`;
  if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
    return `${node.expression.getText()}.${node.argumentExpression.text}`;
  }
  return undefined;
}

/** A name that stands for a value of the surroundings: not a member's, a property's or a declaration's. */
function isUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isPropertyAssignment(parent)) return parent.initializer === node;
  if (ts.isShorthandPropertyAssignment(parent) || ts.isTypeReferenceNode(parent))
    return ts.isShorthandPropertyAssignment(parent);
  return !('name' in parent && parent.name === node);
}

function platformUse(node: ts.Node): string | undefined {
  const member = memberOf(node);
  if (member !== undefined) {
    const [object = '', name = ''] = member.split('.');
    if (forbiddenMembers.includes(member.replace(/^(globalThis|window|self|global)\./, ''))) return member;
    return globalObjects.includes(object) && forbiddenGlobals.includes(name) ? member : undefined;
  }
  if (ts.isIdentifier(node)) return forbiddenGlobals.includes(node.text) && isUse(node) ? node.text : undefined;
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date') {
    return node.arguments === undefined || node.arguments.length === 0 ? 'new Date()' : undefined;
  }
  if (ts.isCallExpression(node) && node.expression.getText() === 'Date') return 'Date()';
  if (ts.isStringLiteral(node) && ts.isImportDeclaration(node.parent) && forbiddenModules.test(node.text))
    return node.text;
  return undefined;
}

/** Every place where a core file asks the platform for time, timers, randomness or ids, as `file:line: what`. */
export function platformUses(sources: Sources): string[] {
  const uses: string[] = [];
  for (const [path, text] of sources) {
    if (exempt.includes(path)) continue;
    const file = parse(path, text);
    walk(file, (node) => {
      const use = platformUse(node);
      if (use !== undefined) uses.push(`${path}:${lineOf(file, node)}: ${use}`);
    });
  }
  return uses;
}
