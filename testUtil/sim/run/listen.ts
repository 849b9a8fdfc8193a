import type { SettledTransportOptions } from '../../../transport/options.ts';
import type { Transport } from '../../../transport/transport.ts';
import type { SessionWitness } from '../oracle/sessionWitness.ts';

/** Tells the oracle what a transport tells its application. */
export function listen(transport: Transport<SettledTransportOptions>, witness: SessionWitness): void {
  transport.addEventListener('sessionStatus', (event) => {
    if (event.status === 'created') witness.sessionCreated(event.session.id, event.session.to);
    if (event.status === 'closed') witness.sessionClosed(event.session.id, event.end.code, event.end.message);
  });
  transport.addEventListener('sessionTransition', ({ id, state, session }) => witness.sessionMoved(id, state, session));
  transport.addEventListener('protocolError', (event) => witness.protocolError(event));
  transport.bindLogger((message, { error }) => witness.internalError(message, error), 'error');
}
