import { expect } from 'vitest';
import type { Connection } from '../../transport/connection.ts';
import type { LogFields } from '../../transport/log.ts';
import type { SettledTransportOptions } from '../../transport/options.ts';
import type { Session } from '../../transport/session/transitions.ts';
import type { Transport } from '../../transport/transport.ts';
import { ENTRY } from '../support/edgeTable.ts';
import { DeadEnd } from '../support/states.ts';

/** What a transport tells of its sessions, in order: states they enter, and how they end. */
export class Tale {
  readonly #lines: string[] = [];
  readonly #handles = new Map<string, Session>();
  readonly #states = new Map<string, string>();
  /** Edges that were gone along, as the diagrams write them. */
  readonly #edges: Set<string>;

  /** @param entry how the first state of a session is reached */
  constructor(transport: Transport<SettledTransportOptions>, edges: Set<string>, entry = ENTRY) {
    this.#edges = edges;
    transport.addEventListener('sessionTransition', ({ id, to, state, session }) => {
      this.#lines.push(`${to} ${state}`);
      edges.add(`${this.#states.get(id) ?? entry} --> ${state}`);
      this.#states.set(id, state);
      const old = this.#handles.get(id);
      if (old !== undefined) this.stale.push(old);
      this.#handles.set(id, session);
    });
    transport.addEventListener('sessionStatus', (event) => {
      if (event.status !== 'closed') return;
      this.#lines.push(`${event.session.to} ends: ${event.end.code}`);
      const old = this.#handles.get(event.session.id);
      if (old !== undefined) this.stale.push(old);
      this.#handles.delete(event.session.id);
    });
    transport.bindLogger((message: string, { error }: LogFields) => {
      if (message === 'internal error') this.#lines.push(`internal error: ${String(error)}`);
    }, 'error');
  }

  /** Handles that their sessions have left behind. */
  readonly stale: Session[] = [];

  /** An edge that no event of a session shows. */
  went(edge: string): void {
    this.#edges.add(edge);
  }

  /** What was told since the last time is exactly this. */
  expectNext(lines: readonly string[], after: string): void {
    expect(this.#lines.splice(0), `after ${after}`).toEqual(lines);
  }
}

/** A connection that hears what a test says. */
export class HeldConnection extends DeadEnd {
  /** The other side is gone. */
  drop(): void {
    this.ended();
  }
}

/** True for a connection that was closed. */
export function isClosed(connection: Connection | undefined): boolean {
  return connection?.isEnded === true;
}
