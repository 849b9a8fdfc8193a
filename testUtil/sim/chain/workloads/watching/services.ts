import { Type } from '@sinclair/typebox';
import type { CallOptions, UnkeyedCallOptions } from '../../../../../router/callOptions.ts';
import type { Client } from '../../../../../router/clientTypes.ts';
import { Procedure } from '../../../../../router/procedures.ts';
import { Ok } from '../../../../../router/result.ts';
import { createServiceSchema } from '../../../../../router/services.ts';
import type { Permission } from '../../../../../watch/authorization.ts';
import { topicProcedure } from '../../../../../watch/topicProcedure.ts';
import type { WatchSource } from '../../../../../watch/watch.ts';
import { BoardEvent, type BoardName, type BoardSource, type Boards, LoadedBoard } from './board.ts';

/** What both hops of the chain do for whoever asks. */
export interface BoardHop {
  readonly sources: Boards<BoardSource>;
  authorize(): Permission | Promise<Permission>;
  /** Undefined where nobody can be asked. */
  load(board: BoardName, options: CallOptions): Promise<LoadedBoard | undefined>;
  mark(board: BoardName, keys: readonly string[], options: CallOptions): Promise<LoadedBoard | undefined>;
}

const Which = Type.Union([Type.Literal('kept'), Type.Literal('lost')]);

/** The services of a hop: two boards, each with its changes. */
export function boardServices(hop: BoardHop) {
  const changes = (name: BoardName) =>
    topicProcedure<typeof BoardEvent, object>(hop.sources[name], {
      event: BoardEvent,
      key: ({ key }) => key,
      authorize: () => hop.authorize(),
      batch: 10,
      // Below what the smallest transports of a run take.
      maxBatchBytes: 4_096,
      maxEventBytes: 16_384,
    });
  const boards = createServiceSchema().define({
    kept: changes('kept'),
    lost: changes('lost'),
    load: Procedure.rpc({
      requestInit: Type.Object({ board: Which }),
      responseData: LoadedBoard,
      async handler({ ctx, reqInit: { board } }) {
        const loaded = await hop.load(board, ctx.callOptions);
        return loaded === undefined ? ctx.cancel('nobody could be asked') : Ok(loaded);
      },
    }),
    /** Answers with the board right after it was marked. */
    mark: Procedure.rpc({
      requestInit: Type.Object({ board: Which, keys: Type.Array(Type.String()) }),
      responseData: LoadedBoard,
      async handler({ ctx, reqInit: { board, keys } }) {
        const loaded = await hop.mark(board, keys, ctx.callOptions);
        return loaded === undefined ? ctx.cancel('nobody could be asked') : Ok(loaded);
      },
    }),
  });
  return { boards };
}

export type BoardServices = ReturnType<typeof boardServices>;

/** A board as whoever watches it has it: where its changes are heard of, and who loads it. */
export interface BoardAccess {
  readonly changes: WatchSource<BoardEvent>;
  load(options: UnkeyedCallOptions): Promise<LoadedBoard>;
}

/**
 * The boards of a client's server.
 * @param sources where their changes are in this process, if they are
 */
export function accessTo(client: Client<BoardServices>, sources?: Boards<BoardSource>): Boards<BoardAccess> {
  const access = (board: BoardName): BoardAccess => ({
    changes: sources?.[board] ?? client.boards[board],
    async load(options) {
      const result = await client.boards.load.rpc({ board }, options);
      if (!result.ok) throw new Error(result.payload.code);
      return result.payload;
    },
  });
  return { kept: access('kept'), lost: access('lost') };
}
