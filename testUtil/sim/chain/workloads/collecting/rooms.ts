import { type Static, Type } from '@sinclair/typebox';
import type { CallOptions } from '../../../../../router/callOptions.ts';
import type { Client } from '../../../../../router/clientTypes.ts';
import { Procedure } from '../../../../../router/procedures.ts';
import { Ok } from '../../../../../router/result.ts';
import { createServiceSchema } from '../../../../../router/services.ts';
import type { Permission } from '../../../../../watch/authorization.ts';
import {
  type CollectionEvent,
  collectionEventSchema,
  createCollection,
  type TypedCollection,
} from '../../../../../watch/collection.ts';
import { collectionProcedures } from '../../../../../watch/collectionProcedures.ts';
import type { LocalSource } from '../../../../../watch/localSource.ts';
import { type Position, PositionSchema } from '../../../../../watch/position.ts';
import { topicProcedure } from '../../../../../watch/topicProcedure.ts';

/** Where somebody is: each time that somebody comes somewhere has a number of its own. */
export const Whereabouts = Type.Object({ room: Type.String(), tag: Type.Integer() });
export type Whereabouts = Static<typeof Whereabouts>;
export type WhereaboutsEvent = CollectionEvent<Whereabouts>;

/** What somebody asks for: to be in a room, or in none. */
export interface Move {
  readonly who: string;
  readonly room?: string;
}

/** Undefined where nothing changed, or nobody could be asked. */
type Mover = (move: Move, options: CallOptions) => Promise<Position | undefined>;

function moveProcedure(move: Mover) {
  return Procedure.rpc({
    requestInit: Type.Object({ who: Type.String(), room: Type.Optional(Type.String()) }),
    responseData: Type.Object({ position: Type.Optional(PositionSchema) }),
    async handler({ ctx, reqInit }) {
      const position = await move(reqInit, ctx.callOptions);
      return Ok(position === undefined ? {} : { position });
    },
  });
}

/** The services of whoever has the rooms. */
export function roomServices(
  rooms: TypedCollection<typeof Whereabouts>,
  authorize: () => Promise<Permission>,
  move: Mover,
) {
  const service = createServiceSchema().define({
    ...collectionProcedures(rooms, { authorize }),
    move: moveProcedure(move),
  });
  return { rooms: service };
}

export type RoomServices = ReturnType<typeof roomServices>;

/** The same of a hop between: it passes the changes on from a mirror, and asks for the rest. */
export function passedOnServices(
  client: Client<RoomServices>,
  changes: LocalSource<WhereaboutsEvent>,
  authorize: () => Promise<Permission>,
) {
  // Never filled: what is said of a snapshot's messages is the same.
  const unused = createCollection({ value: Whereabouts });
  const { snapshot } = collectionProcedures(unused, { authorize });
  const service = createServiceSchema().define({
    snapshot: {
      ...snapshot,
      async handler({ ctx, reqInit, resWritable }: Parameters<typeof snapshot.handler>[0]) {
        const { resReadable } = client.rooms.snapshot.subscribe(reqInit, ctx.callOptions);
        for await (const page of resReadable) {
          if (!resWritable.isWritable()) return;
          if (!page.ok) return void ctx.cancel('nobody could be asked');
          resWritable.write(page);
        }
        resWritable.close();
      },
    },
    changes: topicProcedure(changes, {
      event: collectionEventSchema(Whereabouts),
      key: ({ key }) => key,
      authorize,
    }),
    move: moveProcedure(async (wanted, options) => {
      const result = await client.rooms.move.rpc(wanted, options);
      return result.ok ? result.payload.position : undefined;
    }),
  });
  return { rooms: service };
}
