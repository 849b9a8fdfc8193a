import type { WebSocket } from 'ws';
import { type Small, type Writing, writeAs } from '../application.ts';
import { HIGH_WATER_BYTES } from './wire.ts';

/** Writes messages as JSON. Where too much waits in the process, the writer waits until that is out. */
export function writeSmall(ws: WebSocket, id: number, writing: Writing): Promise<number> {
  let isOut: Promise<unknown> = Promise.resolve();
  const write = (p: Small) => {
    const text = JSON.stringify({ id, p });
    const isReady = ws.bufferedAmount <= HIGH_WATER_BYTES;
    if (isReady) ws.send(text);
    else isOut = new Promise((resolve) => ws.send(text, resolve));
    return isReady;
  };
  return writeAs(writing, write, () => isOut);
}
