import { createServer as createNetServer } from 'node:net';
import { createClient, createServer } from 'holdfast';
import { relayCache } from 'holdfast/cache';
import { UnixDomainSocketClientTransport } from 'holdfast/transport/unix/client';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from 'holdfast/transport/unix/server';
import { reporter } from '../stage/report.ts';
import type { HopReport } from './reports.ts';
import { type Services, serve } from './services.ts';

/** The service's process: a hop in the middle. `argv`: where to listen, and where the provider is. */
const [, , socket = '', provider = ''] = process.argv;
const report = reporter<HopReport>();

const dial = { baseIntervalMs: 20, maxJitterMs: 20, maxBackoffMs: 200 };
const upstream = createClient<Services>(new UnixDomainSocketClientTransport(provider, 'service', dial), 'PROVIDER');
const puppets = relayCache(upstream.puppets);

const net = createNetServer();
createServer(new UnixDomainSocketServerTransport(net, 'SERVICE'), serve(puppets));
await listenOnUnixSocket(net, socket);
report({ type: 'open' });
