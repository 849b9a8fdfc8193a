import { WebSocket } from 'ws';
import { createClient } from '../../router/client.ts';
import { UnixDomainSocketClientTransport } from '../../transport/impls/unix/client.ts';
import { WebSocketClientTransport } from '../../transport/impls/ws/client.ts';
import { Numbers, report } from './numbers.ts';
import { transportOptions } from './options.ts';
import type { chaos } from './services.ts';

/** A client's process. `argv`: its id, where to dial. */
const [, , id = '', target = ''] = process.argv;
const options = { ...transportOptions, baseIntervalMs: 50, maxJitterMs: 50, maxBackoffMs: 500 };
const transport = target.startsWith('ws:')
  ? new WebSocketClientTransport(() => new WebSocket(target), id, options)
  : new UnixDomainSocketClientTransport(target, id, options);
const client = createClient<{ chaos: typeof chaos }>(transport);

const faults: string[] = [];
let sent = 0;
let received = 0;
let sessions = 0;

/** One stream for as long as its session lives. */
async function follow(): Promise<void> {
  sessions += 1;
  const { reqWritable, resReadable } = client.chaos.numbers.stream({});
  const numbers = new Numbers(`server → ${id} #${sessions}`, faults);
  let n = 0;
  const timer = setInterval(() => {
    if (!reqWritable.isWritable()) return;
    reqWritable.write({ n, padding: 'y'.repeat((n * 53) % 3_000) });
    n += 1;
    sent += 1;
  }, 10);
  for await (const item of resReadable) {
    if (!item.ok) break;
    numbers.take(item.payload.n);
    received += 1;
  }
  clearInterval(timer);
}

setInterval(() => report({ type: 'progress', sent, received, sessions, faults: faults.splice(0) }), 100);
process.on('disconnect', () => process.exit(0));
for (;;) await follow();
