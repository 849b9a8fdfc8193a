import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import Database from 'libsql';
import type { Stage } from '../stage/stage.ts';
import { Expected, type OrderEvent, openOrders } from './orders.ts';

/** Reads the log and what the projections made of it, from disk, and compares. */
export function compareWithLog(stage: Stage, commands: readonly OrderEvent[]): void {
  const db = new Database(join(stage.folder, 'shop.db'));
  db.exec('PRAGMA busy_timeout = 5000');
  const orders = openOrders(db);
  const outcome = orders.read(undefined, Number.MAX_SAFE_INTEGER);
  const log = outcome.kind === 'events' ? outcome.events.map(({ event }) => event) : [];
  stage.check('every command is in the log, once, in order', isDeepStrictEqual(log, commands), `${log.length} events`);

  const expected = new Expected();
  for (const event of log) expected.take(event);
  const table = (sql: string): Map<string, number> => {
    const rows = db.prepare(sql).all() as { key: string; value: number }[]; // as the queries below name them
    return new Map(rows.map(({ key, value }) => [key, value]));
  };
  const folder = join(stage.folder, 'labels');
  const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  const labels = files.map((name) => [name.slice(0, -4), Number(readFileSync(join(folder, name), 'utf8'))] as const);
  const actual = {
    revenue: table('SELECT customer AS key, cents AS value FROM revenue'),
    loyalty: table('SELECT customer AS key, points AS value FROM loyalty'),
    openOrders: table('SELECT id AS key, cents AS value FROM open_orders'),
    labels: new Map(labels),
  };
  for (const name of ['revenue', 'loyalty', 'openOrders', 'labels'] as const) {
    const sum = [...actual[name].values()].reduce((total, value) => total + value, 0);
    const isEqual = actual[name].size > 0 && isDeepStrictEqual(actual[name], expected[name]);
    stage.check(`${name} is what the log says`, isEqual, `${actual[name].size} rows, ${sum} in all`);
  }
  orders.close();
  db.close();
}
