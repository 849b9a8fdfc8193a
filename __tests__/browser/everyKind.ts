import { type Client, unwrapOrThrow, values } from 'holdfast';
import type { Services } from './services.ts';

/** What calls of every kind came to, as plain JSON. */
export interface EveryKind {
  rpc: number;
  declaredError: string;
  invalidRequest: string;
  upload: { sum: number; bytes: number[] };
  subscription: number[];
  stream: string[];
}

/** What {@link callEveryKind} comes to wherever it works. */
export const everyKindExpected: EveryKind = {
  rpc: 42,
  declaredError: 'NEGATIVE',
  invalidRequest: 'INVALID_REQUEST',
  upload: { sum: 316, bytes: [1, 2, 3, 0, 255, 45] },
  subscription: [0, 1, 2, 3, 4],
  stream: ['> once', '> twice'],
};

/** Calls a procedure of each kind, and one in each way that it can fail. */
export async function callEveryKind({ probe }: Client<Services>): Promise<EveryKind> {
  const rpc = unwrapOrThrow(await probe.double.rpc({ n: 21 })).n;
  const declared = await probe.double.rpc({ n: -1 });
  const invalid = await probe.double.rpc({ n: 1_001 });

  const upload = probe.sum.upload({ start: 10 });
  for (const bytes of [[1, 2, 3], [0, 255], [45]]) upload.reqWritable.write({ bytes: Uint8Array.from(bytes) });
  const summed = unwrapOrThrow(await upload.finalize());

  const subscription: number[] = [];
  for await (const { n } of values(probe.count.subscribe({ to: 5 }).resReadable)) subscription.push(n);

  const { reqWritable, resReadable } = probe.echo.stream({ prefix: '> ' });
  reqWritable.write({ text: 'once' });
  reqWritable.close({ text: 'twice' });
  const stream: string[] = [];
  for await (const { text } of values(resReadable)) stream.push(text);

  return {
    rpc,
    declaredError: declared.ok ? 'none' : declared.payload.code,
    invalidRequest: invalid.ok ? 'none' : invalid.payload.code,
    upload: { sum: summed.sum, bytes: [...summed.bytes] },
    subscription,
    stream,
  };
}
