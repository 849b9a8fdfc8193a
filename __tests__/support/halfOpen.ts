import type { Connection } from '../../transport/connection.ts';
import type { SettledTransportOptions } from '../../transport/options.ts';
import type { Transport } from '../../transport/transport.ts';

/** The connection that carries a session now. */
export function connectionOf(transport: Transport<SettledTransportOptions>, peer: string): Connection {
  const session = transport.sessions.get(peer);
  if (session?.state !== 'Connected') throw new Error(`expected a connected session, got ${session?.state}`);
  return session.connection;
}

/**
 * Loses whatever this end says from now on, its goodbye included, as a cable that was pulled does. Returns how to let
 * the goodbye out after all, so that no socket is left.
 */
export function mute(connection: Connection): () => void {
  connection.send = () => true;
  Reflect.set(connection, 'destroy', () => undefined);
  Reflect.set(connection, 'abort', () => undefined);
  return () => {
    // The methods of the class are there again.
    Reflect.deleteProperty(connection, 'send');
    Reflect.deleteProperty(connection, 'destroy');
    Reflect.deleteProperty(connection, 'abort');
    const destroy: unknown = Reflect.get(connection, 'destroy');
    if (connection.isEnded && typeof destroy === 'function') Reflect.apply(destroy, connection, []);
  };
}
