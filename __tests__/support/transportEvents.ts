import type { TransportEvents } from '../../transport/events.ts';
import type { SettledTransportOptions } from '../../transport/options.ts';
import type { Transport } from '../../transport/transport.ts';

/** Everything a transport tells its listeners, in order and in short. */
export class TransportEventLog {
  /** `created session-1`, `Connected`, `closed session-1 grace_elapsed`, `error handshake_failed CODE`, `transport closed`. */
  readonly lines: string[] = [];
  readonly errors: TransportEvents['protocolError'][] = [];
  /** What was told of each session: its statuses and states, in order. */
  readonly told = new Map<string, string[]>();

  constructor(transport: Transport<SettledTransportOptions>) {
    transport.addEventListener('sessionStatus', (event) => {
      this.#note(event.session.id, event.status);
      const why = event.status === 'created' ? '' : ` ${event.end.code}`;
      this.lines.push(`${event.status} ${event.session.id}${why}`);
    });
    transport.addEventListener('sessionTransition', ({ state, id }) => {
      this.#note(id, state);
      this.lines.push(state);
    });
    transport.addEventListener('protocolError', (event) => {
      this.errors.push(event);
      this.lines.push(`error ${event.type}${event.code === undefined ? '' : ` ${event.code}`}`);
    });
    transport.addEventListener('transportStatus', ({ status }) => this.lines.push(`transport ${status}`));
  }

  #note(id: string, what: string): void {
    const known = this.told.get(id);
    if (known === undefined) this.told.set(id, [what]);
    else known.push(what);
  }

  /** Codes of the sessions that ended, in order. */
  get ends(): string[] {
    return this.lines.filter((line) => line.startsWith('closed ')).map((line) => line.split(' ')[2] ?? '');
  }

  /** Codes of failed handshakes. */
  get codes(): (string | undefined)[] {
    return this.errors.map(({ code }) => code);
  }

  clear(): void {
    this.lines.length = 0;
    this.errors.length = 0;
  }
}
