import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { type Small, type Writing, writeAs } from '../application.ts';
import type { ServerSide } from '../library.ts';
import { Bench, grpc } from './grpcPackage.ts';

interface Unary<T> {
  readonly request: T;
}

const subscribers = new Set<Duplex>();
const grpcServer = new grpc.Server();

function answer<T>({ request }: Unary<T>, callback: (error: null, value: T) => void): void {
  callback(null, request);
}

grpcServer.addService(Bench.service, {
  echo: answer,
  echoBytes: answer,
  publish({ request }: Unary<Small>, callback: (error: null, value: object) => void) {
    for (const subscriber of subscribers) subscriber.write(request);
    callback(null, {});
  },
  async download(call: Duplex & Unary<Writing>) {
    const write = (message: Small) => call.write(message);
    await writeAs(call.request, write, () => once(call, 'drain'));
    call.end();
  },
  subscribe(call: Duplex) {
    subscribers.add(call);
    call.on('cancelled', () => subscribers.delete(call));
    call.write({ n: 0, s: 'you are let in..' });
  },
  upload(call: Duplex, callback: (error: null, value: object) => void) {
    let count = 0;
    call.on('data', () => {
      count += 1;
    });
    call.on('end', () => callback(null, { count }));
  },
});

/** gRPC, in a server's process. */
export const server: ServerSide = {
  listen: () =>
    new Promise((resolve, reject) =>
      grpcServer.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve({ port }) : reject(error),
      ),
    ),
};
