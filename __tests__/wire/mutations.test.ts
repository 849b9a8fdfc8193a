import { describe, expect, test } from 'vitest';
import { Deviation } from './deviation.ts';
import { exemptions } from './exemptions.ts';
import { type Mutation, type MutationKind, mutationKinds, mutationsOf } from './mutations.ts';
import { codecs, linesOf, readRecordings } from './recording.ts';
import { replayToClient, replayToServer } from './replay.ts';
import type { Scenario } from './scenario.ts';
import { scenarioOf } from './scenarios.ts';

/** How many there are in each codec, at least and at most: fewer would mean that some are not made any more. */
const expectedCounts: Record<MutationKind, readonly [least: number, most: number]> = {
  fields: [2_500, 2_600],
  words: [250, 260],
  removedKeys: [3_300, 3_400],
  lines: [500, 520],
};

async function isNoticed(replay: Promise<void>): Promise<boolean> {
  try {
    await replay;
    return false;
  } catch (error) {
    if (error instanceof Deviation) return true;
    throw error;
  }
}

/** Plays a mutated recording to both sides, first to the one that would have sent the frame. */
async function survives({ recording, from }: Mutation, scenario: Scenario): Promise<boolean> {
  const replays = from === 'client' ? [replayToClient, replayToServer] : [replayToServer, replayToClient];
  for (const replay of replays) if (await isNoticed(replay(recording, scenario))) return false;
  return true;
}

describe.each(codecs)('a recording in $name that is changed in one place', (codec) => {
  const recordings = readRecordings(codec);

  test.each(recordings)(
    'is not what our client and server do: $name',
    async (recording) => {
      const scenario = scenarioOf(recording.name);
      for (const kind of mutationKinds) {
        const survivors: string[] = [];
        const exempt: string[] = [];
        for (const mutation of mutationsOf(recording, scenario, kind)) {
          if (mutation.exempt !== undefined) exempt.push(mutation.title);
          if (await survives(mutation, scenario)) survivors.push(mutation.title);
        }
        expect(survivors).toEqual(exempt);
      }
    },
    30_000,
  );

  test.each(mutationKinds)('is changed in as many places as there are: %s', (kind) => {
    const mutations = recordings.flatMap((recording) => [...mutationsOf(recording, scenarioOf(recording.name), kind)]);
    const [least, most] = expectedCounts[kind];
    expect(mutations.length).toBeGreaterThanOrEqual(least);
    expect(mutations.length).toBeLessThanOrEqual(most);
  });

  test('is still a recording where a message was changed: it is the replay that fails', () => {
    for (const recording of recordings) {
      for (const { title, recording: mutated } of mutationsOf(recording, scenarioOf(recording.name), 'fields')) {
        if (/^line \d+: message\b/.test(title)) expect(linesOf(mutated)).toHaveLength(recording.raw.length);
      }
    }
  });

  test('may be changed in ids and prose only, and each exemption is needed', () => {
    const used = recordings
      .flatMap((recording) => [...mutationsOf(recording, scenarioOf(recording.name), 'fields')])
      .flatMap(({ exempt }) => (exempt === undefined ? [] : [exempt.path]));
    // A session id that is echoed stands in its request, too, so that changing the echo is noticed.
    const neverAlone = 'message.payload.status.sessionId';
    expect([...new Set(used), neverAlone].sort()).toEqual(exemptions.map(({ path }) => path).sort());
    expect(used.length).toBeLessThan(250);
  });
});
