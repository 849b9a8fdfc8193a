import { integer } from './outcome.ts';
import type { Panel } from './plot.ts';
import { heapLine } from './reconnects.ts';
import type { Series } from './recorder.ts';

const BLUE = '#2463b0';
const ORANGE = '#c8641c';

/** What the series of a run look like; a panel for each scenario that has any. */
export function panelsOf(series: Readonly<Record<string, Series>>, sessions: number): Panel[] {
  const panels: Panel[] = [];
  const { resumed, renewed, serverHeap, clientHeap } = series;
  if (resumed !== undefined) panels.push(sessionsPanel('all connections cut: sessions resumed', resumed, sessions, 10));
  if (renewed !== undefined) panels.push(sessionsPanel('server killed: new sessions', renewed, sessions, 20));
  if (serverHeap !== undefined && clientHeap !== undefined) panels.push(heapPanel(serverHeap, clientHeap));
  return panels;
}

/** @param limit in seconds */
function sessionsPanel(title: string, points: Series, sessions: number, limit: number): Panel {
  const end = Math.max(limit, Math.ceil((points.at(-1)?.[0] ?? 0) / 1_000));
  const held: Series = [...points, [end * 1_000, points.at(-1)?.[1] ?? 0]];
  return {
    title,
    x: 'seconds',
    xEnd: end * 1_000,
    yEnd: sessions,
    printX: (ms) => String(ms / 1_000),
    printY: integer,
    xLimit: limit * 1_000,
    lines: [{ name: 'sessions', color: BLUE, points: held }],
  };
}

function heapPanel(server: Series, client: Series): Panel {
  const last = server.at(-1)?.[0] ?? 1;
  const highest = Math.max(...[...server, ...client].map(([, heap]) => heap));
  const lineOf = (heap: Series): Series => {
    const { slope, intercept } = heapLine(heap);
    return [
      [0, intercept],
      [last, intercept + slope * last],
    ];
  };
  return {
    title: 'one session, reconnected: JavaScript heap',
    x: 'reconnects',
    xEnd: last,
    yEnd: Math.ceil(highest / 4e6) * 4e6,
    printX: integer,
    printY: (heap) => `${Math.round(heap / 1e6)} MB`,
    lines: [
      { name: 'client', color: ORANGE, points: client },
      { name: 'server', color: BLUE, points: server },
      { name: '', color: '#888', points: lineOf(server), dashed: true },
      { name: '', color: '#888', points: lineOf(client), dashed: true },
    ],
  };
}
