import { randomInt } from 'node:crypto';
import { connect, unwrapOrThrow } from 'holdfast';
import { once, SqliteCheckpointStore } from 'holdfast/consume';
import { type Watch, watchCollection } from 'holdfast/watch';
import Database from 'libsql';
import { reporter } from '../stage/report.ts';
import type { BotReport } from './reports.ts';
import type { Line, Services } from './services.ts';

/** The bot's process. `argv`: the server's URL, the bot's database, and `naive` for a bot that keeps no ledger. */
const [, , url = '', file = '', mode] = process.argv;
const room = 'tavern';
const report = reporter<BotReport>();

const db = new Database(file);
db.exec('PRAGMA journal_mode = WAL');
db.exec('CREATE TABLE IF NOT EXISTS rolls (line TEXT NOT NULL, dice TEXT NOT NULL)');
db.exec('CREATE TABLE IF NOT EXISTS luck (id INTEGER PRIMARY KEY, pips INTEGER NOT NULL)');
db.exec('INSERT OR IGNORE INTO luck VALUES (1, 0)');
const ledger = new SqliteCheckpointStore(db);

/** Throws dice and writes them down: an effect that would be wrong if it were had twice. */
function roll(line: Line, count: number, sides: number): number[] {
  const dice = Array.from({ length: count }, () => randomInt(sides) + 1);
  db.prepare('INSERT INTO rolls VALUES (?, ?)').run(line.id, dice.join(' '));
  db.prepare('UPDATE luck SET pips = pips + ?').run(dice.reduce((sum, pips) => sum + pips, 0));
  return dice;
}

const { client, transport, onStatus } = connect<Services>(url, {
  clientId: 'dice-bot',
  baseIntervalMs: 20,
  maxJitterMs: 20,
});
let lostSessions = 0;
transport.addEventListener('sessionStatus', ({ status }) => {
  if (status === 'closed') lostSessions += 1;
});
onStatus((status) => {
  if (status === 'connected') report({ type: 'connected', lostSessions });
});

async function onLine(line: Line): Promise<void> {
  const [, count, sides] = /^\/roll (\d+)d(\d+)$/.exec(line.text) ?? [];
  if (count === undefined || sides === undefined) return;
  const throwDice = () => roll(line, Number(count), Number(sides));
  // However often the line is delivered, and to however many lives of this process: the dice fall once, and what they
  // showed is known to all of them.
  const { ran, result: dice } =
    mode === 'naive' ? { ran: true, result: throwDice() } : once(ledger, 'rolls', line.id, throwDice);
  report({ type: 'rolled', line: line.id, dice, isNew: ran });
  // Said again under the same id it is no second answer; and were it left out, a crash before it would be no answer.
  const id = mode === 'naive' ? `answer-${line.id}/${randomInt(1e9)}` : `answer-${line.id}`;
  const said = unwrapOrThrow(await client.rooms.say.rpc({ room, id, text: `${line.from}: ${dice.join(' + ')}` }));
  report({ type: 'answered', line: line.id, isNew: said.isNew });
}

/** Who is in the room. The server takes it away from whoever has to leave, so there is another one for each stay. */
let roster: Watch<ReadonlyMap<string, string[]>> | undefined;

function watchRoster(): void {
  roster?.dispose();
  const watched = watchCollection(client.roster, { keys: [room] });
  roster = watched;
  watched.onChange(() => {
    if (watched.state === 'live') report({ type: 'roster', people: watched.value?.get(room) ?? [] });
    if (watched.state === 'refused') report({ type: 'roster-refused' });
  });
}

/** Sits in the room until it has to leave. @returns why */
async function sit(): Promise<string> {
  const { resReadable } = client.rooms.join.subscribe({ room });
  watchRoster();
  for await (const result of resReadable) {
    if (!result.ok) return result.payload.code;
    await onLine(result.payload);
  }
  return 'ENDED';
}

for (;;) {
  const why = await sit().catch((error: Error) => error.message);
  if (why !== 'KICKED') continue; // the session is gone: the next call waits for another
  report({ type: 'kicked' });
  await client.rooms.knock.rpc({ room });
}
