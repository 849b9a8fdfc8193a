import { Type } from '@sinclair/typebox';
import { createServiceSchema, Err, type Infer, Ok, Procedure, type Result, type Writable } from 'holdfast';
import { MemoryCheckpointStore, once } from 'holdfast/consume';
import { collectionProcedures, createCollection } from 'holdfast/watch';

const Line = Type.Object({ id: Type.String(), from: Type.String(), text: Type.String() });
export type Line = Infer<typeof Line>;

const Room = Type.Object({ room: Type.String() });
const RoomAndWho = Type.Object({ room: Type.String(), who: Type.String() });
const Kicked = Type.Object({ code: Type.Literal('KICKED'), message: Type.String() });
type Seat = { who: string; lines: Writable<Result<Line, Infer<typeof Kicked>>> };

/** One room: everything that was ever said in it, who sits in it, and who may not. */
class RoomState {
  readonly lines: Line[] = [];
  readonly seats = new Set<Seat>();
  readonly banned = new Set<string>();
  /** Those who stand outside and wait. */
  readonly knocking = new Set<{ who: string; open: () => void }>();

  people(): string[] {
    return [...new Set([...this.seats].map(({ who }) => who))].sort();
  }
}

/** Rooms whose server, as chat servers do, delivers everything again to whoever comes in. */
export function createRooms() {
  const Service = createServiceSchema();
  const rooms = new Map<string, RoomState>();
  const ledger = new MemoryCheckpointStore();
  const roomOf = (name: string): RoomState => {
    const room = rooms.get(name) ?? new RoomState();
    rooms.set(name, room);
    return room;
  };

  // Who is in which room. Only those inside may know: `from` is who the handshake says one is.
  const roster = createCollection({ value: Type.Array(Type.String()) });
  const watching = collectionProcedures(roster, {
    authorize: ({ ctx, keys }) => keys?.every((room) => roomOf(room).people().includes(ctx.from)) ?? false,
  });

  const rejected = Err({ code: 'KICKED' as const, message: 'you were asked to leave' });
  return {
    roster: Service.define(watching),
    rooms: Service.define({
      join: Procedure.subscription({
        requestInit: Room,
        responseData: Line,
        responseError: Kicked,
        async handler({ ctx, reqInit: { room: name }, resWritable }) {
          const room = roomOf(name);
          if (room.banned.has(ctx.from)) return resWritable.close(rejected);
          const seat: Seat = { who: ctx.from, lines: resWritable };
          room.seats.add(seat);
          roster.set(name, room.people());
          ctx.deferCleanup(() => {
            room.seats.delete(seat);
            roster.set(name, room.people());
          });
          for (const line of room.lines) resWritable.write(Ok(line));
        },
      }),
      // A line has an id of its sender's choice: said again with the same id, it is not said twice.
      say: Procedure.rpc({
        requestInit: Type.Object({ room: Type.String(), id: Type.String(), text: Type.String() }),
        responseData: Type.Object({ isNew: Type.Boolean() }),
        async handler({ ctx, reqInit: { room: name, id, text } }) {
          const line = { id, from: ctx.from, text };
          const { lines, seats } = roomOf(name);
          const { ran } = once(ledger, name, id, () => void lines.push(line));
          if (ran) for (const seat of seats) seat.lines.write(Ok(line));
          return Ok({ isNew: ran });
        },
      }),
      kick: Procedure.rpc({
        requestInit: RoomAndWho,
        responseData: Type.Object({}),
        async handler({ reqInit: { room: name, who } }) {
          const room = roomOf(name);
          room.banned.add(who);
          for (const seat of room.seats) if (seat.who === who) seat.lines.close(rejected);
          for (const seat of room.seats) if (seat.who === who) room.seats.delete(seat);
          roster.set(name, room.people());
          await watching.changes.reauthorize();
          return Ok({});
        },
      }),
      letIn: Procedure.rpc({
        requestInit: RoomAndWho,
        responseData: Type.Object({}),
        async handler({ reqInit: { room: name, who } }) {
          const room = roomOf(name);
          room.banned.delete(who);
          for (const knock of room.knocking) if (knock.who === who) knock.open();
          return Ok({});
        },
      }),
      // Answers when the door is open.
      knock: Procedure.rpc({
        requestInit: Room,
        responseData: Type.Object({}),
        async handler({ ctx, reqInit }) {
          const room = roomOf(reqInit.room);
          if (!room.banned.has(ctx.from)) return Ok({});
          await new Promise<void>((open) => {
            const knock = { who: ctx.from, open };
            room.knocking.add(knock);
            ctx.deferCleanup(() => {
              room.knocking.delete(knock);
              open();
            });
          });
          return Ok({});
        },
      }),
    }),
  };
}

export type Services = ReturnType<typeof createRooms>;
