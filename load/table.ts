import type { Figure } from './outcome.ts';

const HEAD = ['scenario', 'figure', 'measured', 'limit', ''] as const;

function rowsOf(figures: readonly Figure[]): string[][] {
  return figures.map(({ scenario, name, measured, limit, ok }) => [
    scenario,
    name,
    measured,
    limit,
    ok === undefined ? '' : ok ? 'ok' : 'FAILED',
  ]);
}

/** For a terminal. */
export function plainTable(figures: readonly Figure[]): string {
  return plainGrid(HEAD, rowsOf(figures));
}

/** The same in Markdown. */
export function markdownTable(figures: readonly Figure[]): string {
  return markdownGrid(HEAD, rowsOf(figures));
}

/** Any table for a terminal. */
export function plainGrid(head: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(head), '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2)), ...body.map(line)].join('\n');
}

/** Any table in Markdown. */
export function markdownGrid(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}
