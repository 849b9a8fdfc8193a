import { appendFileSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import Database from 'libsql';
import type { IdempotencyClaim, IdempotencyStore } from '../../router/idempotencyStore.ts';
import { createServer } from '../../router/server.ts';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from '../../transport/impls/unix/server.ts';
import { SqliteIdempotencyStore } from '../../watch/sqliteIdempotencyStore.ts';
import { shopOf, Till } from '../support/shop.ts';

/**
 * A shop in a process of its own, which kills itself where it is told to. `argv`: the path of its Unix socket, its
 * database, the file in which each order leaves a line, and the place to die at, if any.
 */
const [, , path = '', file = '', effects = '', dieAt = ''] = process.argv;

function reached(place: string): void {
  // No handler runs, nothing is flushed: as the kernel ends a process that has used up its memory.
  if (place === dieAt) process.kill(process.pid, 'SIGKILL');
}

/** The real store, and the moments before and after each of its transactions. */
class DyingStore implements IdempotencyStore {
  readonly #store: SqliteIdempotencyStore;

  constructor(store: SqliteIdempotencyStore) {
    this.#store = store;
  }

  get instance(): string {
    return this.#store.instance;
  }

  readonly isDurable = true;

  claim(claim: IdempotencyClaim, now: number) {
    reached('before the claim');
    const answer = this.#store.claim(claim, now);
    reached('after the claim');
    return answer;
  }

  settle(claim: IdempotencyClaim, outcome: Uint8Array): void {
    reached('before the outcome');
    this.#store.settle(claim, outcome);
    reached('after the outcome');
  }

  prune(now: number) {
    return this.#store.prune(now);
  }
}

class WrittenTill extends Till {
  override async passed(): Promise<void> {
    appendFileSync(effects, 'order\n');
    reached('after the effect');
    await super.passed();
  }
}

const db = new Database(file);
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
const net = createNetServer();
const transport = new UnixDomainSocketServerTransport(net, 'SERVER');
createServer(transport, shopOf(new WrittenTill()), {
  idempotency: { store: new DyingStore(new SqliteIdempotencyStore(db)), ttlMs: 60_000 },
});
await listenOnUnixSocket(net, path);
process.send?.('listening');
process.on('disconnect', () => process.exit(0));
