import { describe, expect, test } from 'vitest';
import { CompactFrameReader } from '../../transport/compactReader.ts';
import { MalformedFrame } from '../../transport/wire.ts';
import { generateCompact, readCompactVectors, writeCompactVectors } from './compact.ts';
import { codecs } from './generate.ts';
import { toPlain } from './vectors.ts';

if (process.env['HOLDFAST_WRITE_VECTORS'] === '1') writeCompactVectors();

const vectors = readCompactVectors();

describe('the vectors of compact frames', () => {
  test('are those of the catalog, in both codecs: what is meant encodes to these bytes', () => {
    expect(vectors).toEqual(generateCompact());
  });

  test.each(vectors.map((vector) => [`${vector.codec}: ${vector.name}`, vector] as const))(
    '%s: these bytes decode to what is meant',
    (_name, { codec, hex, frame }) => {
      const { saidAck } = frame;
      const bytes = new Uint8Array(Buffer.from(hex, 'hex'));
      const reader = CompactFrameReader.open(
        codecs[codec],
        bytes,
        saidAck === undefined ? -1 : frame.firstSeq,
        saidAck,
      );
      if (reader instanceof MalformedFrame) throw new Error(reader.reason);
      const messages: unknown[] = [];
      while (reader.hasMore) {
        const message = reader.next();
        if (message instanceof MalformedFrame) throw new Error(message.reason);
        const { id: _id, from: _from, to: _to, ack: _ack, seq: _seq, ...said } = message;
        // Both strings of a trace that is none are implied.
        messages.push(
          said.serviceName === undefined ? said : { tracing: { traceparent: '', tracestate: '' }, ...said },
        );
      }
      const { firstSeq, ack, flags, credits } = reader;
      const { saidAck: _said, ...meant } = frame;
      expect(toPlain({ firstSeq, ack, flags, credits, messages })).toEqual(meant);
    },
  );
});
