import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonCodec, MsgpackCodec } from '../../codec/index.ts';
import { bounded, compactFramesOf, FUZZ_TIMEOUT_MS, framesOf, runsOf } from './support/fuzz.ts';
import { fromClient, requests } from './support/fuzzFrames.ts';
import { FuzzStage } from './support/fuzzStage.ts';

describe.each([JsonCodec, MsgpackCodec])('a server that is sent anything in $name', (codec) => {
  test(
    'in the place of a handshake goes on serving',
    async () => {
      await using stage = await FuzzStage.open(codec);
      await fc.assert(
        fc.asyncProperty(fc.array(framesOf(codec, requests), { minLength: 1, maxLength: 2 }), async (frames) => {
          using peer = await stage.dial();
          for (const frame of frames) peer.sendBytes(frame);
          await stage.expectUndisturbed();
          // The first frame has been judged: answered, or closed.
          expect(peer.isClosed || peer.messages.length > 0).toBe(true);
          peer.close();
          await stage.forgetOthers();
        }),
        runsOf('handshake', 1),
      );
    },
    FUZZ_TIMEOUT_MS,
  );

  test(
    'in a session goes on serving',
    async () => {
      await using stage = await FuzzStage.open(codec);
      const frames = fc.integer({ min: 1, max: 5 }).chain((count) => {
        return fc.tuple(...Array.from({ length: count }, (_, seq) => framesOf(codec, fromClient(seq))));
      });
      let sessions = 0;
      await fc.assert(
        fc.asyncProperty(frames, fc.boolean(), async (sent, speaksExtensions) => {
          using peer = await stage.dial();
          const extensions = speaksExtensions ? { heartbeat: {}, deadline: {} } : undefined;
          const asked = peer.handshake({ sessionId: `session-${sessions++}`, extensions });
          expect(await bounded('a handshake', asked)).toMatchObject({ ok: true });
          for (const frame of sent) peer.sendBytes(frame);
          await stage.expectUndisturbed();
          peer.close();
        }),
        runsOf('session', 2),
      );
      expect(stage.server.sessions.size).toBeLessThan(3);
    },
    FUZZ_TIMEOUT_MS,
  );

  test(
    'in a session of compact frames goes on serving',
    async () => {
      await using stage = await FuzzStage.open(codec);
      // As many frames as a session may live through: each is made as if nothing had been believed before it.
      const frames = fc.array(compactFramesOf(codec, fromClient(0), 0), { minLength: 1, maxLength: 5 });
      let sessions = 0;
      await fc.assert(
        fc.asyncProperty(frames, async (sent) => {
          using peer = await stage.dial();
          const asked = peer.handshake({ sessionId: `session-${sessions++}`, extensions: { compact: {} } });
          expect(await bounded('a handshake', asked)).toMatchObject({ ok: true, extensions: { compact: {} } });
          // From here on nothing is an envelope.
          peer.connection.attach({ onData: () => undefined, onClose: () => undefined });
          for (const frame of sent) peer.sendBytes(frame);
          await stage.expectUndisturbed();
          peer.close();
        }),
        runsOf('session', 2),
      );
      expect(stage.server.sessions.size).toBeLessThan(3);
    },
    FUZZ_TIMEOUT_MS,
  );
});
