import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript-5.4';

/** Where the repository is, with a slash at its end. */
export const root = new URL('../../', import.meta.url);

/** Folders of the library proper; `testUtil` and `logging` are published beside them. */
export const coreFolders = ['codec', 'transport', 'router', 'watch', 'consume', 'cache'];

/** Source files by their path from the root, as text. */
export type Sources = Map<string, string>;

/** One module that a file names, and how. */
export interface Import {
  specifier: string;
  line: number;
}

/** The text of a file, by its path from the root. */
export function readSource(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

/** Every published source file: the core folders, `logging`, `testUtil` and the root's entry point. */
export function publishedSources(): Sources {
  const sources: Sources = new Map();
  const present = readdirSync(root);
  for (const folder of [...coreFolders, 'logging', 'testUtil']) {
    if (!present.includes(folder)) continue;
    for (const path of readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })) {
      if (path.endsWith('.ts')) sources.set(`${folder}/${path}`, readSource(`${folder}/${path}`));
    }
  }
  if (present.includes('index.ts')) sources.set('index.ts', readSource('index.ts'));
  return sources;
}

/** The syntax tree of a source text. */
export function parse(path: string, text: string): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
}

/** Calls `visit` with every node below `node`. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  node.forEachChild((child) => {
    visit(child);
    walk(child, visit);
  });
}

/** Where a node begins, counted from 1. */
export function lineOf(file: ts.SourceFile, node: ts.Node): number {
  return file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
}

/** What names a module in this node: an import or export declaration, `import()`, `require()`, or an import in a type. */
function moduleNameIn(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isExternalModuleReference(node)) return node.expression;
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node.argument;
  if (!ts.isCallExpression(node)) return undefined;
  const callee = node.expression;
  const imports = callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require');
  return imports ? node.arguments[0] : undefined;
}

/** Every import of a source text: static, dynamic, re-exported and of types alike. A computed one is named `<computed>`. */
export function importsOf(path: string, text: string): Import[] {
  const file = parse(path, text);
  const imports: Import[] = [];
  walk(file, (node) => {
    const name = moduleNameIn(node);
    if (name === undefined) return;
    imports.push({ specifier: ts.isStringLiteralLike(name) ? name.text : '<computed>', line: lineOf(file, node) });
  });
  return imports;
}
