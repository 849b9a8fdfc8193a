import { WebSocket } from 'ws';
import { rival } from './packages.ts';

// Node 20 has no WebSocket of its own, and the library asks for its constants.
Object.assign(globalThis, { WebSocket });

/** Cap'n Web. */
export const capnweb = rival<typeof import('capnweb')>('capnweb');
