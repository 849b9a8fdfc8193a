import { createServer as createHttpServer, type Server as HttpServer, type ServerResponse } from 'node:http';
import { createServer, type Server } from '../../../router/index.ts';
import { Relay } from '../../../testUtil/relay.ts';
import { WebSocketServerTransport } from '../../../transport/impls/ws/server.ts';
import type { ServerTransportOptions } from '../../../transport/options.ts';
import { type Services, services } from '../services.ts';
import { bundlePage, type PageName, pageNames } from './bundle.ts';

/** No inline scripts, no generated code, no connections but through the relay. */
function policy(socketUrl: string): string {
  return `default-src 'none'; script-src 'self'; connect-src ${socketUrl}; img-src data:; base-uri 'none'; form-action 'none'`;
}

/** The icon keeps the browser from asking for one. */
const html = (name: PageName) =>
  `<!doctype html><meta charset="utf-8"><title>${name}</title><link rel="icon" href="data:,"><script type="module" src="/${name}.js"></script>`;

/** A web site on this host: pages, a server behind them, and a relay between the two. */
export class Site implements AsyncDisposable {
  readonly transport: WebSocketServerTransport;
  readonly server: Server<Services>;
  readonly relay: Relay;
  /** Where pages find the server: through the relay. */
  readonly socketUrl: string;
  readonly #http: HttpServer;
  readonly #port: number;
  #sessionsCreated = 0;

  private constructor(http: HttpServer, port: number, relay: Relay, options: ServerTransportOptions) {
    this.#http = http;
    this.#port = port;
    this.relay = relay;
    this.socketUrl = `ws://127.0.0.1:${relay.port}`;
    this.transport = new WebSocketServerTransport(undefined, 'SERVER', {
      ...options,
      allowedOrigins: [`http://127.0.0.1:${port}`],
    });
    this.transport.addEventListener('sessionStatus', ({ status }) => {
      if (status === 'created') this.#sessionsCreated += 1;
    });
    this.server = createServer(this.transport, services);
    http.on('upgrade', (request, socket, head) => this.transport.handleUpgrade(request, socket, head));
    http.on('request', (request, response) => void this.#answer(request.url ?? '/', response));
  }

  static async open(options: ServerTransportOptions = {}): Promise<Site> {
    const http = createHttpServer();
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const address = http.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return new Site(http, port, await Relay.start({ port: 0 }, { port }), options);
  }

  /** How many sessions the server has made so far. */
  get sessionsCreated(): number {
    return this.#sessionsCreated;
  }

  /** @param host another name of this host makes the page one of another origin */
  url(name: PageName, host = '127.0.0.1'): string {
    return `http://${host}:${this.#port}/${name}`;
  }

  async #answer(path: string, response: ServerResponse): Promise<void> {
    const name = pageNames.find((known) => path === `/${known}` || path === `/${known}.js`);
    if (name === undefined) return void response.writeHead(404).end();
    if (path === `/${name}`) {
      response.writeHead(200, {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': policy(this.socketUrl),
      });
      return void response.end(html(name));
    }
    const { code } = await bundlePage(name);
    response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' }).end(code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    this.transport.close();
    await this.relay.close();
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
    const { openCalls, running } = this.server;
    if (openCalls + running > 0) throw new Error(`the site left behind: ${openCalls} calls, ${running} handlers`);
  }
}
