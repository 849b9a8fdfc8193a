import { open, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient, unwrapOrThrow, values } from 'holdfast';
import { UnixDomainSocketClientTransport } from 'holdfast/transport/unix/client';
import { WebSocketClientTransport } from 'holdfast/transport/ws/client';
import { WebSocket } from 'ws';
import { report } from './messages.ts';
import { transportOptions } from './options.ts';
import { type demo, Sequence } from './services.ts';

/** A client's process. `argv`: the link's name, where to dial (a URL or a socket's path), the file to upload. */
const [, , link = '', target = '', file = ''] = process.argv;

/** An upload is paced so that it lasts through the whole schedule of faults, as it would on a slow line. */
const CHUNKS = 140;
const CHUNK_EVERY_MS = 60;
const MAX_CHUNK_BYTES = 256 * 1024;
const CALL_EVERY_MS = 30;

const options = { ...transportOptions, maxJitterMs: 50, baseIntervalMs: 50, maxBackoffMs: 1_000 };
const transport = target.startsWith('ws:')
  ? new WebSocketClientTransport(() => new WebSocket(target), link, options)
  : new UnixDomainSocketClientTransport(target, link, options);

let sessions = 0;
transport.addEventListener('sessionStatus', ({ status }) => {
  if (status === 'created') sessions += 1;
});
transport.addEventListener('sessionTransition', ({ state, resent }) =>
  report({ type: 'state', side: 'client', link, state, resent }),
);

const client = createClient<{ demo: typeof demo }>(transport, 'SERVER');

async function* chunksOf(path: string): AsyncGenerator<{ n: number; bytes: Uint8Array }> {
  const { size } = await stat(path);
  const chunkBytes = Math.min(MAX_CHUNK_BYTES, Math.max(1, Math.ceil(size / CHUNKS)));
  const handle = await open(path);
  try {
    for (let n = 0, at = 0; at < size; n++, at += chunkBytes) {
      const { bytesRead, buffer } = await handle.read(new Uint8Array(chunkBytes), 0, chunkBytes, at);
      yield { n, bytes: buffer.subarray(0, bytesRead) };
      await pause(CHUNK_EVERY_MS);
    }
  } finally {
    await handle.close();
  }
}

async function upload() {
  let chunks = 0;
  const { reqWritable, finalize } = client.demo.put.upload({ name: file });
  report({ type: 'uploading', link, isOn: true });
  async function* counted() {
    for await (const chunk of chunksOf(file)) {
      chunks += 1;
      yield chunk;
    }
  }
  await reqWritable.writeAll(counted(), { onConfirmed: (bytes) => report({ type: 'confirmed', link, bytes }) });
  reqWritable.close();
  report({ type: 'uploading', link, isOn: false });
  return { chunks, stored: unwrapOrThrow(await finalize()) };
}

async function follow(ticks: Sequence): Promise<void> {
  const { resReadable } = client.demo.ticks.subscribe({});
  for await (const { n } of values(resReadable)) ticks.take(n);
}

/** Calls all the while, many at a time: a call made while the line is down waits for it. */
async function callUntil(done: Promise<unknown>, answers: Sequence): Promise<number> {
  let isDone = false;
  void done.then(() => {
    isDone = true;
  });
  const pending: Promise<void>[] = [];
  for (let n = 0; ; n++) {
    if (isDone) {
      await Promise.all(pending);
      return n;
    }
    pending.push(client.demo.call.rpc({ n }).then((result) => answers.take(unwrapOrThrow(result).n)));
    await pause(CALL_EVERY_MS);
  }
}

const ticks = new Sequence();
const answers = new Sequence();
const followed = follow(ticks);
const uploaded = upload();
const calls = await callUntil(uploaded, answers);
const { chunks, stored } = await uploaded;
const { sent: ticksSent } = unwrapOrThrow(await client.demo.stopTicks.rpc({}));
await followed;
const received = unwrapOrThrow(await client.demo.callFigures.rpc({}));

report({
  type: 'result',
  link,
  result: {
    // Chunks and calls go up, ticks and answers come down.
    sent: chunks + calls + ticksSent + received.received,
    received: stored.received + received.received + ticks.received + answers.received,
    duplicated: stored.duplicated + received.duplicated + ticks.duplicated + answers.duplicated,
    outOfOrder: stored.outOfOrder + received.outOfOrder + ticks.outOfOrder + answers.outOfOrder,
    sha256: stored.sha256,
    size: stored.size,
    sessions,
  },
});
transport.close();
process.disconnect();
