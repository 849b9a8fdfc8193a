import { type ExtensionOffer, offerOf } from './extensions.ts';
import { type HandshakeRequest, handshakeRequestMessage, PROTOCOL_VERSION } from './handshake.ts';
import type { SettledClientOptions } from './options.ts';
import type { SessionCore } from './session/core.ts';
import { encodeFrame } from './wire.ts';

/**
 * How a client asks for its session to be begun or resumed: the first frame of a connection.
 * @param metadata the application's; undefined: none
 * @throws {CodecError} if the metadata hold what the codec cannot carry
 * @throws {MessageTooLargeError}
 */
export function encodeRequest(core: SessionCore, metadata: unknown, options: SettledClientOptions): Uint8Array {
  const { ledger } = core;
  const request: HandshakeRequest = {
    type: 'HANDSHAKE_REQ',
    protocolVersion: PROTOCOL_VERSION,
    sessionId: core.id,
    expectedSessionState: { nextExpectedSeq: ledger.ack, nextSentSeq: ledger.oldestUnackedSeq },
  };
  if (metadata !== undefined) request.metadata = metadata;
  const offer = offerFor(core, options);
  if (offer !== undefined) request.extensions = offer;
  const newId = (): string => options.clock.id();
  const message = handshakeRequestMessage(core.from, core.to, newId, core.span.propagation, request);
  return encodeFrame(options.codec, message, options.maxMessageBytes);
}

function offerFor(core: SessionCore, options: SettledClientOptions): ExtensionOffer | undefined {
  const { agreement, ledger, resumeToken: token } = core;
  if (token === undefined) return offerOf(options, undefined);
  const instance = agreement?.extensions?.resume?.instance;
  const everConnected = agreement !== undefined;
  const { nextSeq } = ledger;
  return offerOf(
    options,
    instance === undefined ? { token, everConnected, nextSeq } : { token, everConnected, instance, nextSeq },
  );
}
