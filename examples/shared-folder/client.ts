import { createClient } from 'holdfast';
import { UnixDomainSocketClientTransport } from 'holdfast/transport/unix/client';
import { reporter } from '../stage/report.ts';
import type { Services } from './services.ts';
import { SharedFolder } from './sharedFolder.ts';

/** Somebody's process. `argv`: where the server listens, the folder, and `naive` for one that does not know its own echo. */
const [, , socket = '', folder = '', mode] = process.argv;
reporter();

const dial = { baseIntervalMs: 20, maxJitterMs: 20, maxBackoffMs: 200 };
const transport = new UnixDomainSocketClientTransport(socket, undefined, dial);
new SharedFolder(folder, createClient<Services>(transport), mode === 'naive');
