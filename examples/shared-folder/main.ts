import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import Database from 'libsql';
import { play } from '../stage/stage.ts';
import { User } from './user.ts';

/** `--naive`: clients that do not know their own echo. */
const mode = process.argv.includes('--naive') ? ['naive'] : [];
const script = (name: string) => new URL(`./${name}.js`, import.meta.url);
const WITHIN_MS = 100;
const ROUNDS = 30;
/** From one to the other: so often a process has to get its turn, and on a busy machine each may be late. */
const STEPS = 6;

await play(async (stage) => {
  const folderOf = (name: string) => {
    const folder = join(stage.folder, name);
    mkdirSync(folder);
    return folder;
  };
  const drafts = folderOf('drafts');
  const [alice, bob] = ['alice', 'bob'].map((name) => new User(name, folderOf(name), drafts)) as [User, User]; // two names
  for (const user of [alice, bob]) stage.atEnd(() => user.close());
  const socket = join(stage.folder, 'server.sock');
  const database = join(stage.folder, 'folder.db');
  const openServer = async () => {
    const server = stage.start<{ type: 'open' }>('server', script('server'), socket, database);
    await server.said('open');
    return server;
  };

  let changes = 0;
  const save = (user: User, file: string, text: string | null): Promise<void> => {
    changes += 1;
    return user.save(file, text);
  };
  /** One saves, the other sees it. @returns how long that took */
  const passOn = async (from: User, to: User, file: string, text: string | null): Promise<number> => {
    const since = performance.now();
    await save(from, file, text);
    await to.until(() => to.sees(file) === text);
    return performance.now() - since;
  };
  const rally = async (what: string): Promise<void> => {
    const took: number[] = [];
    const lateness = monitorEventLoopDelay({ resolution: 1 });
    lateness.enable();
    for (let n = 0; n < ROUNDS; n++) {
      const [from, to] = n % 2 === 0 ? [alice, bob] : [bob, alice];
      const isGone = n % 6 === 5; // the file of the round before
      const file = `note-${isGone ? n - 1 : n}.txt`;
      took.push(await passOn(from, to, file, isGone ? null : `${what} ${n} by ${from.name}`));
    }
    lateness.disable();
    const sorted = took.sort((a, b) => a - b).map((ms) => Math.round(ms * 10) / 10);
    const [median = 0, worst = 0] = [sorted[ROUNDS / 2], sorted.at(-1)];
    const late = Math.round(lateness.max / 1e6);
    stage.check(
      `${what}: ${ROUNDS} changes are seen by the other within ${WITHIN_MS} ms`,
      median <= WITHIN_MS && worst <= WITHIN_MS + STEPS * late,
      `median ${median} ms, worst ${worst} ms (on a machine whose timers were up to ${late} ms late)`,
    );
  };

  const first = await openServer();
  for (const user of [alice, bob]) stage.start(user.name, script('client'), socket, user.folder, ...mode);
  await passOn(alice, bob, 'hello.txt', 'hello');
  stage.say('alice', "and bob see each other's files");
  await passOn(bob, alice, 'hello.txt', 'hello to you');
  await rally('at first');

  await save(alice, 'last-words.txt', 'sent, perhaps, and perhaps not answered');
  await first.kill();
  stage.say('server', 'is killed; both go on writing');
  await save(alice, 'alice-alone.txt', 'nobody sees this yet');
  await save(bob, 'bob-alone.txt', 'nor this');
  await save(bob, 'hello.txt', null);
  await save(alice, 'both.txt', 'by alice');
  await save(bob, 'both.txt', 'by bob');

  await openServer();
  const since = performance.now();
  await bob.until(() => bob.sees('alice-alone.txt') !== null && bob.sees('last-words.txt') !== null);
  await alice.until(() => alice.sees('bob-alone.txt') !== null && alice.sees('hello.txt') === null);
  const areOne = () => alice.sees('both.txt') === bob.sees('both.txt');
  await Promise.race([alice.until(areOne), bob.until(areOne)]);
  stage.say('server', `is back; ${Math.round(performance.now() - since)} ms later both have everything`);
  stage.say('both.txt', `was written by both at once, and says "${alice.sees('both.txt')}" to both`);
  await rally('after the restart');

  // What goes round in circles comes by again before these two have gone through.
  await passOn(alice, bob, 'end-a.txt', 'end');
  await passOn(bob, alice, 'end-b.txt', 'end');
  const names = (user: User) => readdirSync(user.folder).sort();
  const isEqual =
    names(alice).join() === names(bob).join() && names(alice).every((file) => alice.sees(file) === bob.sees(file));
  stage.check('the folders are equal', isEqual, `${names(alice).length} files`);
  const db = new Database(database);
  const { sent } = db.prepare('SELECT max(version) AS sent FROM files').get() as { sent: number }; // its one column
  db.close();
  stage.check(
    'each change was sent once, and none was sent back',
    sent === changes,
    `${changes} changes, ${sent} sent`,
  );
});
