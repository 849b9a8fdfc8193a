import { fileURLToPath } from 'node:url';
import { rival } from './packages.ts';

/** `@grpc/grpc-js`. */
export const grpc = rival<typeof import('@grpc/grpc-js')>('@grpc/grpc-js');

const { loadSync } = rival<typeof import('@grpc/proto-loader')>('@grpc/proto-loader');
const file = fileURLToPath(new URL('../../../bench/rivals/bench.proto', import.meta.url));

/** The service of `bench.proto`. */
export const { Bench } = grpc.loadPackageDefinition(loadSync(file));
