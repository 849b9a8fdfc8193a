import type { SettledTransportOptions } from '../transport/options.ts';
import type { Transport } from '../transport/transport.ts';

/** How many sessions of a transport have a connection that works. */
export function numberOfConnections(transport: Transport<SettledTransportOptions>): number {
  let count = 0;
  for (const session of transport.sessions.values()) if (session.state === 'Connected') count += 1;
  return count;
}

/** Breaks every connection of a transport as a network would: both sides notice, sessions stay. */
export function closeAllConnections(transport: Transport<SettledTransportOptions>): void {
  for (const session of [...transport.sessions.values()]) {
    if (session.state === 'Connected' || session.state === 'Handshaking')
      session.connection.break(new Error('cut by closeAllConnections'));
  }
}
