import { EventEmitter, on } from 'node:events';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { listen } from '../../load/listening.ts';
import { type Small, small } from '../application.ts';
import type { ServerSide } from '../library.ts';
import { rival } from './packages.ts';

const { initTRPC } = rival<typeof import('@trpc/server')>('@trpc/server');
const { applyWSSHandler } = rival<typeof import('@trpc/server/adapters/ws')>('@trpc/server/adapters/ws');
const { z } = rival<typeof import('zod')>('zod');

const Message = z.object<Small>({ n: z.number(), s: z.string().length(16) });
const Writing = z.object({ ms: z.number(), messages: z.number(), heeds: z.boolean() });
const { procedure, router } = initTRPC.create();
const events = new EventEmitter().setMaxListeners(0);
const LOOK_EVERY = 64;

const app = router({
  echo: procedure.input(Message).query(({ input }) => input),
  // It is asked for the next message as fast as it can say one: a subscription heeds nothing.
  download: procedure.input(Writing).subscription(async function* ({ input: { ms, messages } }) {
    const end = performance.now() + ms;
    for (let n = 0; n < messages && (n % LOOK_EVERY !== 0 || performance.now() < end); n++) yield small(n);
  }),
  events: procedure.subscription(async function* ({ signal }) {
    for await (const [message] of on(events, 'event', { signal })) yield message;
  }),
  publish: procedure.input(Message).mutation(({ input }) => void events.emit('event', input)),
});

const http = createServer();
applyWSSHandler({ wss: new WebSocketServer({ server: http, perMessageDeflate: false }), router: app });

/** tRPC over WebSockets, in a server's process, with the validator that its documentation uses. */
export const server: ServerSide = { listen: () => listen(http, 0) };
