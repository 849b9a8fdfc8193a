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
  const rows = [[...HEAD], ...rowsOf(figures)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const [head = '', ...body] = rows.map(line);
  return [head, '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2)), ...body].join('\n');
}

/** The same in Markdown. */
export function markdownTable(figures: readonly Figure[]): string {
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  return [line(HEAD), line(HEAD.map(() => '---')), ...rowsOf(figures).map(line)].join('\n');
}
