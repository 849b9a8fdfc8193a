import { unwrapOrThrow } from 'holdfast';
import { type Small, small, writeAs } from '../application.ts';
import type { Exchanged } from '../library.ts';
import { dial } from './dial.ts';

const CALLS = 200;
const MESSAGES = 5_000;

/**
 * Makes calls and streams of the counting service, on a session of its own to the server that is measured. The library
 * does not know one service from the other: what it checks of these, it checks of those.
 */
export async function talk(port: number): Promise<Exchanged> {
  const { counted } = dial(port).client;
  const exchanged: Exchanged = { sent: 0, received: 0 };
  for (let n = 0; n < CALLS; n++) {
    unwrapOrThrow(await counted.echo.rpc(small(n)));
    exchanged.sent += 1;
    exchanged.received += 1;
  }
  const writing = { ms: 60_000, messages: MESSAGES, heeds: true };
  exchanged.sent += 1;
  for await (const result of counted.download.subscribe(writing).resReadable) {
    unwrapOrThrow(result);
    exchanged.received += 1;
  }
  const { reqWritable, finalize } = counted.upload.upload({});
  exchanged.sent += 1;
  const write = (message: Small) => reqWritable.write(message);
  exchanged.sent += await writeAs(writing, write, () => reqWritable.waitForWriteReady());
  const { count } = unwrapOrThrow(await finalize());
  exchanged.received += 1;
  if (count !== MESSAGES) throw new Error(`the server received ${count} messages of ${MESSAGES}`);
  return exchanged;
}
