import { isDeepStrictEqual } from 'node:util';
import { ClientStage, type Manner } from './clientStage.ts';
import { differenceOf } from './compare.ts';
import { Deviation, show } from './deviation.ts';
import type { RawConnection } from './rawTransports.ts';
import { type FrameLine, type Line, linesOf, type Recording, type Side } from './recording.ts';
import { renamed } from './rename.ts';
import { exemptResends } from './resends.ts';
import { endingOf, type Scenario } from './scenario.ts';
import { followScript } from './script.ts';
import { type Preference, ServerStage } from './serverStage.ts';
import type { Stage } from './stage.ts';

/*
 * A recording is played to one side of ours, line by line: the other side's frames, its opening and closing are fed to
 * ours as they stand there, and what ours sends, opens and closes must be the rest of the lines, in their order. Time
 * passes only while ours owes something that the recording has next.
 */

interface Played {
  readonly connection: RawConnection;
  hasEnded: boolean;
}

/** What the lines of one recording do to our side. */
class Replay {
  readonly #lines: readonly Line[];
  /** Indexes of lines that a River server sends, and ours does not. */
  readonly #exempt: ReadonlySet<number>;
  readonly #scenario: Scenario;
  readonly #stage: Stage;
  readonly #connections = new Map<number, Played>();

  constructor(lines: readonly Line[], scenario: Scenario, stage: Stage) {
    this.#lines = lines;
    this.#exempt = stage.side === 'server' ? exemptResends(lines) : new Set();
    this.#scenario = scenario;
    this.#stage = stage;
  }

  async play(): Promise<void> {
    for (let at = 0; at < this.#lines.length; ) {
      const end = endOfTurn(this.#lines, at, this.#stage.side);
      try {
        if (!this.#exempt.has(at)) await this.#turn(this.#lines.slice(at, end));
      } catch (error) {
        if (!(error instanceof Deviation)) throw error;
        throw new Deviation(`our ${this.#stage.side} at line ${at + 1}: ${error.message}`);
      }
      at = end;
    }
    await this.#end();
  }

  async #turn(together: readonly Line[]): Promise<void> {
    const [line] = together;
    switch (line?.kind) {
      case 'open':
        return this.#open(line.conn);
      case 'closed':
        return this.#close(line.conn);
      case 'frame':
        return line.from === this.#stage.side ? this.#expect(line) : this.#hear(line.conn, together);
      case 'raised': // they have no place among the others, and are compared in the end
      case undefined:
        return;
      default:
        line satisfies never;
    }
  }

  async #open(conn: number): Promise<void> {
    this.#assertNothingUnread();
    if (conn !== this.#connections.size + 1) throw new Deviation(`connection ${conn} opens out of turn`);
    this.#connections.set(conn, { connection: await this.#stage.open(), hasEnded: false });
    await this.#stage.clock.settled();
  }

  #at(conn: number): Played {
    const played = this.#connections.get(conn);
    if (played === undefined || played.hasEnded) throw new Deviation(`connection ${conn} is not open in the recording`);
    return played;
  }

  async #hear(conn: number, together: readonly Line[]): Promise<void> {
    this.#assertNothingMore();
    const { connection } = this.#at(conn);
    if (connection.isClosedByUs) throw new Deviation(`ours has closed connection ${conn}, a River peer has not`);
    for (const line of together) if (line.kind === 'frame') connection.hear(renamed(line, this.#stage.ids));
    await this.#stage.clock.settled();
  }

  async #expect({ conn, message }: FrameLine): Promise<void> {
    const { connection } = this.#at(conn);
    const frame = await this.#stage.wait(() => connection.take());
    if (frame === undefined) throw new Deviation(`a River peer sends ${show(message)}, ours sends nothing`);
    const difference = differenceOf(message, this.#stage.decode(frame), this.#stage.ids);
    if (difference !== undefined) throw new Deviation(difference);
  }

  async #close(conn: number): Promise<void> {
    this.#assertNothingMore();
    const played = this.#at(conn);
    const ending = endingOf(this.#scenario, conn);
    if (ending === undefined) throw new Deviation(`connection ${conn} ends, which it does not in this scenario`);
    const closes = ending === 'both' || ending === this.#stage.side;
    if (played.connection.isClosedByUs !== closes) {
      const who = closes ? 'a River peer closes it, ours does not' : 'ours closes it, a River peer does not';
      throw new Deviation(`connection ${conn}: ${who}`);
    }
    played.hasEnded = true;
    played.connection.drop();
    await this.#stage.clock.settled();
  }

  #assertNothingUnread(): void {
    for (const [conn, { connection }] of this.#connections) {
      const frame = connection.take();
      if (frame === undefined) continue;
      throw new Deviation(`on connection ${conn} ours sends ${show(this.#stage.decode(frame))}, a River peer does not`);
    }
  }

  /** Whatever ours did so far, the recording has too. */
  #assertNothingMore(): void {
    this.#assertNothingUnread();
    const { surplus } = this.#stage;
    if (surplus !== undefined) throw new Deviation(surplus);
  }

  async #end(): Promise<void> {
    const { side, raised: ours } = this.#stage;
    await this.#stage.finish();
    this.#assertNothingMore();
    for (const [conn, { connection, hasEnded }] of this.#connections) {
      if (connection.isClosedByUs && !hasEnded)
        throw new Deviation(`our ${side} closes connection ${conn}, a River peer does not`);
    }
    const recorded = this.#lines.filter((line) => line.kind === 'raised').filter((line) => line.side === side);
    const theirs = recorded.map(({ type, code }) => ({ type, code }));
    if (!isDeepStrictEqual(theirs, ours))
      throw new Deviation(`River raises ${show(theirs)}, our ${side} ${show(ours)}`);
  }
}

/**
 * Where the lines end that are one turn: a single line, or all the frames for our side that came right after one another
 * on one connection. In several turns ours would acknowledge them one by one, which the recorded side did not.
 */
function endOfTurn(lines: readonly Line[], at: number, ours: Side): number {
  const first = lines[at];
  let end = at + 1;
  if (first?.kind !== 'frame' || first.from === ours) return end;
  for (let next = lines[end]; next?.kind === 'frame'; next = lines[++end]) {
    if (next.from === ours || next.conn !== first.conn) break;
  }
  return end;
}

async function replay(recording: Recording, scenario: Scenario, stage: Stage): Promise<void> {
  try {
    await new Replay(linesOf(recording), scenario, stage).play();
  } finally {
    await stage.close();
  }
  stage.assertNothingLeft();
}

/**
 * Plays the recorded client to our server: what that answers, drops and closes must be as recorded.
 * @throws {Deviation}
 */
export function replayToServer(
  recording: Recording,
  scenario: Scenario,
  preference: Preference = 'the codec of its client',
): Promise<void> {
  return replay(recording, scenario, new ServerStage(recording, scenario, preference));
}

/**
 * Plays the recorded server to our client: what that sends must be as recorded. Where the recorded client was a script,
 * the script must be as recorded.
 * @throws {Deviation}
 */
export async function replayToClient(
  recording: Recording,
  scenario: Scenario,
  manner: Manner = { begins: 'at once', offersExtensions: false },
): Promise<void> {
  if (scenario.kind === 'hand-made') followScript(recording, scenario);
  else await replay(recording, scenario, new ClientStage(recording, scenario, manner));
}
