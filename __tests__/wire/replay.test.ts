import { describe, expect, test } from 'vitest';
import { codecs, readRecordings } from './recording.ts';
import { replayToClient, replayToServer } from './replay.ts';
import { scenarioOf, scenarios } from './scenarios.ts';

describe.each(codecs)('the recordings in $name', (codec) => {
  const recordings = readRecordings(codec).map((recording) => ({
    name: recording.name,
    recording,
    scenario: scenarioOf(recording.name),
  }));
  const live = recordings.filter(({ scenario }) => scenario.kind === 'live');
  const connected = live.filter(({ scenario }) => scenario.sessionsLeft > 0);

  test('are one of each scenario', () => {
    expect(recordings.map(({ name }) => name).sort()).toEqual(Object.keys(scenarios).sort());
    expect(recordings).toHaveLength(30);
  });

  test.each(recordings)('our server answers the client of $name as River’s did', ({ recording, scenario }) =>
    replayToServer(recording, scenario),
  );

  test.each(recordings)(
    'our server speaks the codec of the client of $name, though it prefers the other',
    ({ recording, scenario }) => replayToServer(recording, scenario, 'the other codec'),
  );

  test.each(recordings)(
    'our client, or the script, says to the server of $name what was said',
    ({ recording, scenario }) => replayToClient(recording, scenario),
  );

  test.each(connected)(
    'our client says the same to the server of $name if calls begin later',
    ({ recording, scenario }) =>
      replayToClient(recording, scenario, { begins: 'once connected', offersExtensions: false }),
  );

  test.each(live)('our client says nothing new to the server of $name but an offer', ({ recording, scenario }) =>
    replayToClient(recording, scenario, { begins: 'at once', offersExtensions: true }),
  );
});
