import type { Server } from 'node:http';

/** Listens on loopback as an application does that asks for nothing else: with Node's own backlog, 511. */
export function listen(http: Server, port: number): Promise<{ port: number }> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, '127.0.0.1', () => {
      const address = http.address();
      resolve({ port: typeof address === 'object' && address !== null ? address.port : 0 });
    });
  });
}
