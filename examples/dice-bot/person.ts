import { connect, unwrapOrThrow } from 'holdfast';
import { watchCollection } from 'holdfast/watch';
import { Log } from '../stage/log.ts';
import type { Line, Services } from './services.ts';

export const room = 'tavern';

/** Somebody who sits in the room and reads what is said. */
export class Person {
  readonly name: string;
  readonly heard = new Log<Line>();
  readonly #connected;
  readonly #seat = new AbortController();
  #said = 0;

  constructor(name: string, url: string) {
    this.name = name;
    this.#connected = connect<Services>(url, { clientId: name });
    void this.#listen();
  }

  /** Says something; resolves with the line once the person hears it. */
  async say(text: string): Promise<Line> {
    const id = `${this.name}-${++this.#said}`;
    unwrapOrThrow(await this.#connected.client.rooms.say.rpc({ room, id, text }));
    return this.heard.until((line) => line.id === id);
  }

  /** Who is in the room, as the server sees it just now. */
  async people(): Promise<readonly string[]> {
    const roster = watchCollection(this.#connected.client.roster, { keys: [room] });
    try {
      for await (const rooms of roster) return rooms.get(room) ?? [];
      return [];
    } finally {
      roster.dispose();
    }
  }

  async kick(who: string): Promise<void> {
    unwrapOrThrow(await this.#connected.client.rooms.kick.rpc({ room, who }));
  }

  async letIn(who: string): Promise<void> {
    unwrapOrThrow(await this.#connected.client.rooms.letIn.rpc({ room, who }));
  }

  /** Gets up and goes, and the room sees it at once. */
  leave(): void {
    this.#seat.abort();
  }

  /** Is not there any more: to the room it sits there until the session's grace is over, for it may be back. */
  disconnect(): void {
    this.#connected.close();
  }

  async #listen(): Promise<void> {
    const { resReadable } = this.#connected.client.rooms.join.subscribe({ room }, { signal: this.#seat.signal });
    for await (const result of resReadable) if (result.ok) this.heard.add(result.payload);
  }
}
