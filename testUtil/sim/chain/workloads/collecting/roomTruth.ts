import type { Position } from '../../../../../watch/position.ts';
import type { Whereabouts } from './rooms.ts';

export type Roster = ReadonlyMap<string, Whereabouts>;

/** Who was in which room, at every position of every history of it. */
export class RoomTruth {
  readonly #rosters = new Map<string, Roster>();
  #now: { readonly roster: Roster; readonly position: Position } | undefined;

  get now(): { readonly roster: Roster; readonly position: Position } | undefined {
    return this.#now;
  }

  note(roster: Roster, position: Position): void {
    const copy = new Map(roster);
    this.#rosters.set(nameOf(position), copy);
    this.#now = { roster: copy, position };
  }

  /** What is wrong with what somebody holds as of a position, if anything; of the people that count. */
  faultOf(held: Roster, position: Position, counts: (who: string) => boolean): string | undefined {
    const roster = this.#rosters.get(nameOf(position));
    if (roster === undefined) return `stands at ${nameOf(position)}, where nothing ever was`;
    for (const who of new Set([...roster.keys(), ...held.keys()])) {
      if (!counts(who)) {
        if (held.has(who)) return `holds ${who}, whom it has not asked for`;
      } else if (roster.get(who)?.tag !== held.get(who)?.tag)
        return `has ${who} ${shown(held.get(who))} at ${nameOf(position)}, and there it was ${shown(roster.get(who))}`;
    }
    return undefined;
  }
}

function nameOf({ epoch, offset }: Position): string {
  return `${offset} of ${epoch}`;
}

function shown(where: Whereabouts | undefined): string {
  return where === undefined ? 'nowhere' : `in ${where.room} (${where.tag})`;
}
