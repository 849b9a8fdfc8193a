import { writeFileSync } from 'node:fs';
import type { Codec } from '../../codec/codec.ts';
import { JsonCodec } from '../../codec/json.ts';
import { MsgpackCodec } from '../../codec/msgpack.ts';
import { catalog, malformed } from './catalog.ts';
import { toPlain, type Vector, vectorFolder } from './vectors.ts';

/** Both codecs by the name that stands in a vector. */
export const codecs: { readonly [name in Vector['codec']]: Codec } = { json: JsonCodec, msgpack: MsgpackCodec };

/** Every message of the catalog, in both codecs, by file. */
export function generateVectors(): Map<string, Vector[]> {
  const files = new Map<string, Vector[]>();
  for (const { file, name, direction, message, meaning } of catalog) {
    const vectors = files.get(file) ?? [];
    files.set(file, vectors);
    for (const codec of ['json', 'msgpack'] as const) {
      const hex = Buffer.from(codecs[codec].toBuffer(message)).toString('hex');
      vectors.push({ name, codec, direction, hex, message: toPlain(message), meaning });
    }
  }
  return files.set('malformed', [...malformed]);
}

/** Writes them. Only for a new message: bytes that change for an old one are a change of the protocol. */
export function writeVectors(): void {
  for (const [file, vectors] of generateVectors()) {
    writeFileSync(new URL(`${file}.json`, vectorFolder), `${JSON.stringify(vectors, undefined, 2)}\n`);
  }
}
