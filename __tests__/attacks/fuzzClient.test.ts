import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Codec, JsonCodec, MsgpackCodec } from '../../codec/index.ts';
import { createClient } from '../../router/client.ts';
import { BarePeer, sessionIdOf } from '../support/barePeer.ts';
import type { Services } from '../support/routerServices.ts';
import { bounded, compactFramesOf, FUZZ_TIMEOUT_MS, framesOf, runsOf } from './support/fuzz.ts';
import { answersFor, fromServer } from './support/fuzzFrames.ts';
import { FuzzStage } from './support/fuzzStage.ts';

/** A place where a server of ill will listens, beside an honest one, and clients who talk to both. */
async function openEvil(codec: Codec) {
  const stage = await FuzzStage.open(codec);
  let take: (peer: BarePeer) => void = () => undefined;
  const stop = stage.harness.link.listen('EVIL', (connection) => take(new BarePeer(connection, codec)));
  /** A fresh client, connected to the honest server, with its dial to the other. */
  const arrive = async () => {
    const transport = stage.harness.client({}, 'client-1');
    const honest = createClient<Services>(transport);
    const dialled = new Promise<BarePeer>((resolve) => {
      take = resolve;
    });
    const evil = createClient<Services>(transport, 'EVIL');
    const calls = [
      evil.math.add.rpc({ n: 1 }),
      evil.flow.sum.upload({ multiplier: 2 }).finalize(),
      evil.flow.echo.stream({ prefix: '' }).resReadable.collect(),
      evil.flow.count.subscribe({ to: 2 }).resReadable.collect(),
    ];
    const peer = await bounded('the dial', dialled);
    const request = await bounded('the request', peer.next());
    return {
      peer,
      request,
      /** The same client is served by the honest server, and every call to the other comes to an end. */
      async expectUnharmed() {
        const said = { elsewhere: true };
        expect(await bounded('a call elsewhere', honest.math.types.rpc(said))).toEqual({ ok: true, payload: said });
        await stage.expectUndisturbed();
        transport.close();
        peer.close();
        await bounded('the end of the calls', Promise.all(calls));
        await stage.expectUndisturbed();
      },
    };
  };
  return {
    arrive,
    async [Symbol.asyncDispose]() {
      stop();
      await stage[Symbol.asyncDispose]();
    },
  };
}

describe.each([JsonCodec, MsgpackCodec])('a client that is sent anything in $name', (codec) => {
  test(
    'in the place of an answer goes on with its other server',
    async () => {
      await using evil = await openEvil(codec);
      const shapes = answersFor('SESSION');
      const answers = framesOf(codec, shapes);
      await fc.assert(
        fc.asyncProperty(fc.array(answers, { minLength: 1, maxLength: 3 }), async (frames) => {
          const { peer, request, expectUnharmed } = await evil.arrive();
          // Its session id is as long as any other of this library: lengths written before it stay true.
          for (const frame of frames) peer.sendBytes(named(codec, frame, sessionIdOf(request)));
          await expectUnharmed();
        }),
        runsOf('handshake', 1),
      );
    },
    FUZZ_TIMEOUT_MS,
  );

  test(
    'in a session goes on with its other server',
    async () => {
      await using evil = await openEvil(codec);
      const streams = ['STREAM-0', 'STREAM-1', 'STREAM-2', 'STREAM-3'];
      const frames = fc.integer({ min: 1, max: 5 }).chain((count) => {
        return fc.tuple(...Array.from({ length: count }, (_, seq) => framesOf(codec, fromServer(seq, streams))));
      });
      await fc.assert(
        fc.asyncProperty(frames, fc.boolean(), async (sent, speaksExtensions) => {
          const { peer, request, expectUnharmed } = await evil.arrive();
          const extensions = speaksExtensions ? { deadline: {} } : undefined;
          peer.answer(request, { ok: true, sessionId: sessionIdOf(request), extensions });
          const opened: string[] = [];
          while (opened.length < streams.length) {
            const { streamId, controlFlags } = await bounded('the calls', peer.next());
            if ((controlFlags & 2) !== 0) opened.push(streamId);
          }
          for (const frame of sent) {
            const renamed = streams.reduce((bytes, name, n) => renamedIn(codec, bytes, name, opened[n] ?? ''), frame);
            peer.sendBytes(renamed);
          }
          await expectUnharmed();
        }),
        runsOf('session', 2),
      );
    },
    FUZZ_TIMEOUT_MS,
  );

  test(
    'in a session of compact frames goes on with its other server',
    async () => {
      await using evil = await openEvil(codec);
      // The client numbers its streams from 1, and has four.
      const base = fromServer(0, ['1', '2', '3', '4']);
      await fc.assert(
        fc.asyncProperty(fc.array(compactFramesOf(codec, base, 0), { minLength: 1, maxLength: 5 }), async (sent) => {
          const { peer, request, expectUnharmed } = await evil.arrive();
          // From here on nothing is an envelope.
          const opened = new Promise<void>((resolve) => {
            peer.connection.attach({ onData: () => resolve(), onClose: () => undefined });
          });
          peer.answer(request, { ok: true, sessionId: sessionIdOf(request), extensions: { compact: {} } });
          await bounded('the calls', opened);
          for (const frame of sent) peer.sendBytes(frame);
          await expectUnharmed();
        }),
        runsOf('session', 2),
      );
    },
    FUZZ_TIMEOUT_MS,
  );
});

function named(codec: Codec, frame: Uint8Array, sessionId: string): Uint8Array {
  return renamedIn(codec, frame, 'SESSION', sessionId);
}

/** Puts a name that was only known later into a frame, whatever state the frame is in. */
function renamedIn(codec: Codec, frame: Uint8Array, from: string, to: string): Uint8Array {
  const [before, after] = [from, to].map((name) => Buffer.from(codec.toBuffer(name)));
  if (before === undefined || after === undefined) return frame;
  const parts: Uint8Array[] = [];
  const bytes = Buffer.from(frame);
  let start = 0;
  for (let at = bytes.indexOf(before); at >= 0; at = bytes.indexOf(before, start)) {
    parts.push(bytes.subarray(start, at), after);
    start = at + before.length;
  }
  return Buffer.concat([...parts, bytes.subarray(start)]);
}
