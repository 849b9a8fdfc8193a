import { type Half, slackOf } from './half.ts';
import type { Oracle } from './oracle.ts';

/** Which invariant the end of a session breaks, and how. */
export interface EndFault {
  readonly invariant: string;
  readonly message: string;
}

function broken(invariant: string, message: string): EndFault {
  return { invariant, message };
}

function graceFault({ terms }: Oracle, half: Half): EndFault | undefined {
  const since = half.disconnectedAt;
  if (since === undefined) return broken('8', 'it was connected');
  const away = half.host.now - since;
  // Half a millisecond: deadlines are sums of fractions.
  if (away < terms.graceMs - 0.5) return broken('8', `the peer was away for only ${away} of ${terms.graceMs} ms`);
  const latest = terms.graceMs + 25 + slackOf(half.host, terms, since);
  return away > latest ? broken('8', `it took ${away} ms, and ${latest} is the latest`) : undefined;
}

/** True where the other half is gone, or was taken back to an earlier state: this one must end, too. */
function isOrphan(oracle: Oracle, half: Half): boolean {
  if (half.isRestored || oracle.isBlind(half.sessionId)) return true;
  const peer = oracle.peerOf(half);
  return (
    peer === undefined || !peer.isAlive || peer.isRestored || (half.boundTo !== undefined && half.boundTo !== peer)
  );
}

/**
 * Sessions end for a reason. Judges the reason that the library gives by what has happened to both halves.
 * @returns undefined if the end is as it should be
 */
export function faultOfEnd(oracle: Oracle, half: Half, code: string): EndFault | undefined {
  switch (code) {
    case 'grace_elapsed':
      return graceFault(oracle, half);
    case 'state_mismatch':
      return isOrphan(oracle, half) ? undefined : broken('8', 'both halves live and neither was away for too long');
    case 'peer_replaced':
      return isOrphan(oracle, half) || oracle.hasTwin(half)
        ? undefined
        : broken('8', 'the client has no other session');
    case 'handshake_rejected':
      return oracle.hasTwin(half) ? undefined : broken('8', 'nobody else uses this client id');
    case 'closed_locally':
      return oracle.terms.resumes ? broken('8', 'nobody closed it') : undefined;
    case 'protocol_violation':
      return oracle.isBlind(half.sessionId) ? undefined : broken('16', 'both sides are honest');
    default:
      return broken('8', 'nothing happened that ends sessions so');
  }
}
