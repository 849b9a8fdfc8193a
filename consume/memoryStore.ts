import { nestedTransaction } from './errors.ts';
import type { ConsumerRecord } from './record.ts';
import type { CheckpointStore, Claim, Lease } from './store.ts';
import { refusePromise } from './transaction.ts';

/** What a handler gets to take part in a transaction in memory. */
export interface MemoryTransaction {
  /** Calls `undo` if the transaction is rolled back; the last one registered is called first. */
  onRollback(undo: () => void): void;
}

/** Keeps everything in this process: for tests, and for effects that live no longer than the process. */
export class MemoryCheckpointStore implements CheckpointStore<MemoryTransaction> {
  readonly #records = new Map<string, Map<string, ConsumerRecord>>();
  readonly #leases = new Map<string, Lease>();
  #claims = new Map<string, Map<string, Claim>>();
  /** What undoes the open transaction, oldest first. */
  readonly #undo: (() => void)[] = [];
  #depth = 0;
  readonly #tx: MemoryTransaction = { onRollback: (undo) => this.#changed(undo) };

  transaction<T>(fn: (tx: MemoryTransaction) => T, durability: 'shared' | 'own' = 'shared'): T {
    if (durability === 'own' && this.#depth > 0) throw nestedTransaction();
    const from = this.#undo.length;
    this.#depth += 1;
    try {
      return refusePromise(fn(this.#tx), 'what runs in a transaction');
    } catch (error) {
      while (this.#undo.length > from) this.#undo.pop()?.();
      throw error;
    } finally {
      this.#depth -= 1;
      if (this.#depth === 0) this.#undo.length = 0;
    }
  }

  list(engine: string): ConsumerRecord[] {
    const records = [...(this.#records.get(engine)?.values() ?? [])];
    return records.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  load(engine: string, id: string): ConsumerRecord | undefined {
    return this.#records.get(engine)?.get(id);
  }

  save(engine: string, record: ConsumerRecord): boolean {
    const records = nested(this.#records, engine);
    const old = records.get(record.id);
    if ((old?.revision ?? 0) !== record.revision) return false;
    this.#set(records, record.id, { ...record, revision: record.revision + 1 });
    return true;
  }

  remove(engine: string, id: string): void {
    this.#delete(nested(this.#records, engine), id);
  }

  lease(engine: string): Lease | undefined {
    return this.#leases.get(engine);
  }

  saveLease(engine: string, lease: Lease): void {
    this.#set(this.#leases, engine, lease);
  }

  claim(scope: string, id: string): Claim | undefined {
    return this.#claims.get(scope)?.get(id);
  }

  saveClaim(scope: string, id: string, claim: Claim): void {
    this.#set(nested(this.#claims, scope), id, claim);
  }

  removeClaim(scope: string, id: string): void {
    this.#delete(nested(this.#claims, scope), id);
  }

  pruneClaims(at: number, scope: string | undefined): number {
    const old = this.#claims;
    // New maps: one whose entries come and go keeps the tables it had before, and what they hold.
    this.#claims = new Map();
    let pruned = 0;
    for (const [name, claims] of old) {
      const kept = scope !== undefined && scope !== name ? claims : new Map([...claims].filter(([, c]) => c.at >= at));
      pruned += claims.size - kept.size;
      if (kept.size > 0) this.#claims.set(name, kept);
    }
    this.#changed(() => {
      this.#claims = old;
    });
    return pruned;
  }

  #set<V>(map: Map<string, V>, key: string, value: V): void {
    const old = map.get(key);
    map.set(key, value);
    this.#changed(() => {
      if (old === undefined) map.delete(key);
      else map.set(key, old);
    });
  }

  #delete<V>(map: Map<string, V>, key: string): void {
    const old = map.get(key);
    if (!map.delete(key) || old === undefined) return;
    this.#changed(() => map.set(key, old));
  }

  #changed(undo: () => void): void {
    if (this.#depth > 0) this.#undo.push(undo);
  }
}

function nested<V>(maps: Map<string, Map<string, V>>, key: string): Map<string, V> {
  const found = maps.get(key) ?? new Map<string, V>();
  maps.set(key, found);
  return found;
}
