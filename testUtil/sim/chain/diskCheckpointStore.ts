import type { ConsumerRecord } from '../../../consume/record.ts';
import type { CheckpointStore, Claim, Lease } from '../../../consume/store.ts';
import type { Disk, DiskTable } from './disk.ts';

/** Checkpoints, leases and the ledger on a simulated disk: what the SQLite store is on a real one. */
export class DiskCheckpointStore implements CheckpointStore<Disk> {
  readonly #disk: Disk;
  readonly #leases: DiskTable<Lease>;

  constructor(disk: Disk) {
    this.#disk = disk;
    this.#leases = disk.table('leases');
  }

  transaction<T>(fn: (disk: Disk) => T, durability: 'shared' | 'own' = 'shared'): T {
    if (durability === 'own' && this.#disk.isInTransaction) throw new Error('expected no transaction to be open');
    return this.#disk.transaction(() => {
      const result = fn(this.#disk);
      if (result instanceof Promise) throw new Error('expected what runs in a transaction to be synchronous');
      return result;
    });
  }

  list(engine: string): ConsumerRecord[] {
    const records = this.#records(engine).entries();
    return records.map(([, record]) => record).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  load(engine: string, id: string): ConsumerRecord | undefined {
    return this.#records(engine).get(id);
  }

  save(engine: string, record: ConsumerRecord): boolean {
    const records = this.#records(engine);
    if ((records.get(record.id)?.revision ?? 0) !== record.revision) return false;
    records.set(record.id, { ...record, revision: record.revision + 1 });
    return true;
  }

  remove(engine: string, id: string): void {
    this.#records(engine).delete(id);
  }

  lease(engine: string): Lease | undefined {
    return this.#leases.get(engine);
  }

  saveLease(engine: string, lease: Lease): void {
    this.#leases.set(engine, lease);
  }

  claim(scope: string, id: string): Claim | undefined {
    return this.#claims(scope).get(id);
  }

  saveClaim(scope: string, id: string, claim: Claim): void {
    this.#claims(scope).set(id, claim);
  }

  removeClaim(scope: string, id: string): void {
    this.#claims(scope).delete(id);
  }

  pruneClaims(at: number, scope: string | undefined): number {
    if (scope === undefined) throw new Error('expected a scope: no program of the simulator prunes them all');
    const claims = this.#claims(scope);
    const old = claims.entries().filter(([, claim]) => claim.at < at);
    for (const [id] of old) claims.delete(id);
    return old.length;
  }

  #records(engine: string): DiskTable<ConsumerRecord> {
    return this.#disk.table(`records of ${engine}`);
  }

  #claims(scope: string): DiskTable<Claim> {
    return this.#disk.table(`claims in ${scope}`);
  }
}
