export {
  createMemoryNetwork,
  MemoryClientTransport,
  MemoryConnection,
  MemoryNetwork,
  MemoryServerTransport,
} from './network.ts';
