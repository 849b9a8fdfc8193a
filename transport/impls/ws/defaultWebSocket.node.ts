import { type ClientOptions, WebSocket } from 'ws';

/**
 * Whether frames to `url` pass anybody who can read them before the server has them. RFC 6455, 10.3, has a client mask what it
 * sends lest a proxy that does not know WebSockets take bytes of an application for a request of HTTP. Within TLS there is no such
 * proxy, nor on a loopback interface or a Unix socket, and a mask costs more than all else that is done with a large message.
 * SECURITY.md, "Masking", says what this deviates from.
 */
export function isReadOnTheWay(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'wss:' || protocol === 'https:' || protocol === 'ws+unix:') return false;
  return !(hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname));
}

/** The mask under which a frame says what it says without it; `ws` knows it, and neither applies nor removes it. */
function zeroMask(mask: Buffer): void {
  mask.fill(0);
}

/**
 * Opens a WebSocket with the `ws` package: Node 20 has none of its own.
 * @param options of `ws`, besides and above ours
 */
export function openWebSocket(url: string, options: ClientOptions = {}): WebSocket {
  const ours: ClientOptions = { perMessageDeflate: false };
  if (!isReadOnTheWay(url)) ours.generateMask = zeroMask;
  return new WebSocket(url, Object.assign(ours, options));
}
