import { join } from 'node:path';
import { Relay } from 'holdfast/testing';
import Database from 'libsql';
import type { Actor } from '../stage/actor.ts';
import { play, type Stage } from '../stage/stage.ts';
import { Person, room } from './person.ts';
import type { BotReport, ServerReport } from './reports.ts';
import type { Line } from './services.ts';

/** `--naive`: a bot that keeps no ledger, to see what that leads to. */
const mode = process.argv.includes('--naive') ? ['naive'] : [];
const script = (name: string) => new URL(`./${name}.js`, import.meta.url);
const list = (people: readonly string[]) => [...people].sort().join(', ');

/** The bot's processes, one after another, over one database. */
class Bot {
  readonly #stage: Stage;
  readonly #url: string;
  readonly file: string;
  readonly lives: Actor<BotReport>[] = [];

  constructor(stage: Stage, url: string) {
    this.#stage = stage;
    this.#url = url;
    this.file = join(stage.folder, 'bot.db');
  }

  /** Starts a process; resolves once it sits in the room and knows who else does. */
  async wake(...people: string[]): Promise<Actor<BotReport>> {
    const life = this.#stage.start<BotReport>('bot', script('bot'), this.#url, this.file, ...mode);
    this.lives.push(life);
    await life.said('roster', (report) => list(report.people) === list(people));
    this.#stage.say('bot', `knows who is in the ${room}: ${list(people)}`);
    return life;
  }

  /** How often a command was delivered to it. */
  get deliveries(): number {
    return this.lives.reduce((sum, life) => sum + life.reports.all.filter(({ type }) => type === 'rolled').length, 0);
  }
}

await play(async (stage) => {
  const server = stage.start<ServerReport>('server', script('server'));
  const { port } = await server.said('listening');
  const network = await Relay.start({ port: 0 }, { port }); // between the bot and the server
  stage.atEnd(() => network.close());
  const url = `ws://127.0.0.1:${port}`;
  const enter = async (name: string): Promise<Person> => {
    const person = new Person(name, url);
    stage.atEnd(() => person.disconnect());
    await person.say('hello');
    return person;
  };
  const ada = await enter('ada');
  const ben = await enter('ben');

  const commands: Line[] = [];
  const answerTo = (line: Line) => ada.heard.until(({ id }) => id.split('/')[0] === `answer-${line.id}`);
  const command = async (person: Person, text: string): Promise<Line> => {
    const line = await person.say(text);
    commands.push(line);
    stage.say(person.name, text);
    return line;
  };
  const hearAnswer = async (line: Line) => stage.say('bot', `says "${(await answerTo(line)).text}"`);

  const bot = new Bot(stage, `ws://127.0.0.1:${network.port}`);
  const first = await bot.wake('ada', 'ben', 'dice-bot');
  await hearAnswer(await command(ada, '/roll 2d6'));

  stage.say('network', 'is cut, and cleo comes in');
  network.cut();
  const cleo = await enter('cleo');
  const { people } = await first.said('roster', (report) => report.people.includes('cleo'));
  stage.say('bot', `knows it: ${list(people)}`);
  await hearAnswer(await command(ben, '/roll 1d20'));
  const connections = first.reports.all.flatMap((report) => (report.type === 'connected' ? [report] : []));
  const outlived = connections.length === 2 && connections.every(({ lostSessions }) => lostSessions === 0);
  stage.check('the session has outlived its connection', outlived, `connected ${connections.length} times`);

  stage.say('network', 'carries nothing to the server any more: the bot hears, and nobody hears the bot');
  network.halfOpen('up');
  const lost = await command(cleo, '/roll 4d6');
  const { dice } = await first.said('rolled', ({ line }) => line === lost.id);
  await first.kill();
  stage.say('bot', `is killed: it had rolled ${dice.join(' + ')}, and nobody has heard of it`);

  const second = await bot.wake('ada', 'ben', 'cleo', 'dice-bot');
  await second.said('answered', ({ line }) => line === lost.id);
  await hearAnswer(lost);
  const answered = await answerTo(lost);
  stage.check(
    'what it had rolled before it was killed is what it answers after it',
    answered.text.endsWith(`: ${dice.join(' + ')}`),
    answered.text,
  );

  stage.say('ada', 'kicks the bot');
  await ada.kick('dice-bot');
  await second.said('kicked');
  await second.said('roster-refused');
  const knownUntilThen = second.reports.all.length;
  cleo.leave();
  const dora = await enter('dora');
  stage.say('dora', 'comes in, cleo goes; the bot is not there to see it');
  const missed = await command(dora, '/roll 3d8');
  stage.check('who is not in the room is told nothing of it', second.reports.all.length === knownUntilThen);

  stage.say('ada', 'lets the bot in again');
  await ada.letIn('dice-bot');
  const present = ['ada', 'ben', 'dice-bot', 'dora'];
  const last = await second.said('roster', (report) => list(report.people) === list(present));
  const known = list(last.people);
  stage.check('it knows again who is in the room, as ada does', known === list(await ada.people()), known);
  await second.said('answered', ({ line }) => line === missed.id);
  await hearAnswer(missed);
  await hearAnswer(await command(ben, '/roll 1d4'));

  // Killed once more, so that everything is delivered once more, and the last of it answered.
  await second.kill();
  const third = await bot.wake(...present);
  await third.said('answered', ({ line }) => line === commands.at(-1)?.id);

  const db = new Database(bot.file);
  stage.atEnd(() => db.close());
  const rolls = db.prepare('SELECT line, dice FROM rolls').all() as { line: string; dice: string }[]; // its two columns
  const { pips } = db.prepare('SELECT pips FROM luck').get() as { pips: number }; // its one column
  const answers = ada.heard.all.filter(({ from }) => from === 'dice-bot');
  const said = answers.flatMap(({ text }) => [...text.matchAll(/\d+/g)].map(([digits]) => Number(digits)));
  stage.check(
    'the server delivered commands again and again',
    bot.deliveries > commands.length,
    `${bot.deliveries} deliveries of ${commands.length} commands`,
  );
  stage.check(
    'dice fell once for each',
    rolls.length === commands.length && new Set(rolls.map(({ line }) => line)).size === commands.length,
    rolls.length,
  );
  stage.check('each was answered once', answers.length === commands.length, answers.length);
  stage.check(
    'the pips in the database are those that the room has heard',
    pips === said.reduce((sum, n) => sum + n, 0),
    pips,
  );
});
