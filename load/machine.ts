import { spawnSync } from 'node:child_process';
import { cpus, platform, release, totalmem } from 'node:os';

/** What a run was measured on. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGB: number;
  system: string;
  node: string;
  /** The server has a core to itself, and the clients another. */
  pinned: boolean;
}

/** @param pinned whether server and clients run on a core each */
export function describeMachine(pinned: boolean): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGB: Math.round(totalmem() / 1e9),
    system: `${platform()} ${release().split('-')[0]}`,
    node: process.version,
    pinned,
  };
}

/** For people, without a full stop. */
export function printMachine({ cpu, cores, memoryGB, system, node, pinned }: Machine): string {
  const where = pinned ? 'on a core each' : 'not pinned to cores';
  return `${cpu}, ${cores} cores, ${memoryGB} GB, ${system}, Node ${node}; server and clients ${where}`;
}

/** Files and sockets that a process may have open: Node itself raises its soft limit to the hard one. */
export function openFilesLimit(): number {
  const { stdout } = spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' });
  const limit = Number.parseInt(stdout, 10);
  // "unlimited" is no number.
  return Number.isNaN(limit) ? Number.POSITIVE_INFINITY : limit;
}
