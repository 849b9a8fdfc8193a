import { createClient, createServer } from 'holdfast';
import { JsonCodec, MsgpackCodec } from 'holdfast/codec';
import { createMemoryNetwork } from 'holdfast/transport/memory';
import { callEveryKind, type EveryKind } from '../everyKind.ts';
import { type Services, services } from '../services.ts';
import { inOwnTask } from './ownTask.ts';

/** Serves and calls in one page, once with each codec. */
async function serveAndCall(): Promise<EveryKind[]> {
  const outcomes: EveryKind[] = [];
  for (const codec of [JsonCodec, MsgpackCodec]) {
    const network = createMemoryNetwork();
    const serverTransport = network.createServerTransport('SERVER');
    const clientTransport = network.createClientTransport('client', { codec });
    const server = createServer(serverTransport, services);
    outcomes.push(await callEveryKind(createClient<Services>(clientTransport)));
    await server.close();
    clientTransport.close();
    serverTransport.close();
  }
  return outcomes;
}

declare global {
  /** Of the page `server` only. */
  var serverPage: { serveAndCall: typeof serveAndCall };
}

globalThis.serverPage = { serveAndCall: () => inOwnTask(serveAndCall) };
