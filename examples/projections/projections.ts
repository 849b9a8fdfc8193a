import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Consumer } from 'holdfast/consume';
import type { SqliteDatabase } from 'holdfast/watch';
import type { OrderEvent } from './orders.ts';

type Projection = Consumer<OrderEvent, SqliteDatabase>;

export function createTables(db: SqliteDatabase): void {
  db.exec('CREATE TABLE IF NOT EXISTS revenue (customer TEXT PRIMARY KEY, cents INTEGER NOT NULL)');
  db.exec('CREATE TABLE IF NOT EXISTS loyalty (customer TEXT PRIMARY KEY, points INTEGER NOT NULL)');
  db.exec('CREATE TABLE IF NOT EXISTS open_orders (id TEXT PRIMARY KEY, cents INTEGER NOT NULL)');
}

/** What customers have paid. */
const revenue: Projection = {
  id: 'revenue',
  handle({ type, customer, cents }, _position, tx) {
    if (type !== 'paid') return;
    tx.prepare(
      'INSERT INTO revenue VALUES (?, ?) ON CONFLICT (customer) DO UPDATE SET cents = cents + excluded.cents',
    ).run(customer, cents);
  },
  reset: (tx) => void tx.exec('DELETE FROM revenue'),
};

/** What is neither paid nor cancelled. */
const openOrders: Projection = {
  id: 'open-orders',
  handle({ type, order, cents }, _position, tx) {
    if (type === 'placed') tx.prepare('INSERT INTO open_orders VALUES (?, ?)').run(order, cents);
    else tx.prepare('DELETE FROM open_orders WHERE id = ?').run(order);
  },
  reset: (tx) => void tx.exec('DELETE FROM open_orders'),
};

/** A point for every whole 100 cents. Version 1 has two bugs: it rounds wrongly, and cannot cope with presents. */
const loyalty = (version: number): Projection => ({
  id: 'loyalty',
  handle({ type, order, customer, cents }, _position, tx) {
    if (type !== 'paid') return;
    if (version === 1 && cents === 0) throw new Error(`no points for nothing: order ${order}`);
    const points = version === 1 ? Math.round(cents / 100) : Math.floor(cents / 100);
    tx.prepare(
      'INSERT INTO loyalty VALUES (?, ?) ON CONFLICT (customer) DO UPDATE SET points = points + excluded.points',
    ).run(customer, points);
  },
  reset: (tx) => void tx.exec('DELETE FROM loyalty'),
});

/** A file for each parcel. No transaction holds a file, so it may be written twice, and is the same then. */
const labels = (folder: string): Projection => ({
  id: 'labels',
  effects: 'at-least-once',
  async handle({ type, order, cents }) {
    if (type !== 'paid') return;
    await writeFile(join(folder, `${order}.tmp`), String(cents));
    await rename(join(folder, `${order}.tmp`), join(folder, `${order}.txt`)); // whole, or not there
  },
});

export const projections = (version: number, labelFolder: string): Projection[] => [
  revenue,
  openOrders,
  loyalty(version),
  labels(labelFolder),
];
