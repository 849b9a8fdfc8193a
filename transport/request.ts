import type { Codec } from '../codec/codec.ts';
import { detectCodec } from '../codec/detect.ts';
import { HandshakeCode, type HandshakeErrorCode, type HandshakeRequest, parseHandshakeRequest } from './handshake.ts';
import type { TransportMessage } from './message.ts';
import type { SettledServerOptions } from './options.ts';
import { decodeFrame, MalformedFrame } from './wire.ts';

/** What a server makes of the first frame of a connection. Where it cannot be read, nobody is known who could be answered. */
export type FirstFrame =
  | { kind: 'request'; codec: Codec; message: TransportMessage; request: HandshakeRequest }
  | { kind: 'refused'; codec: Codec; to: string; code: HandshakeErrorCode; reason: string }
  | { kind: 'unreadable'; reason: string };

/** Reads the first frame of a connection, in whichever codec it is. Pure. */
export function readFirstFrame(frame: Uint8Array, serverId: string, options: SettledServerOptions): FirstFrame {
  const { maxHandshakeBytes } = options;
  // Nobody has proved anything yet: a frame may hold a hundred times as much memory as it has bytes, once it is read.
  if (frame.length > maxHandshakeBytes) {
    const reason = `a handshake message of ${frame.length} bytes exceeds maxHandshakeBytes (${maxHandshakeBytes})`;
    return { kind: 'unreadable', reason };
  }
  const codec = detectCodec(frame) ?? options.codec;
  const message = decodeFrame(codec, frame, options.maxMessageBytes);
  if (message instanceof MalformedFrame) {
    return { kind: 'unreadable', reason: `could not parse handshake message: ${message.reason}` };
  }
  const refuse = (code: HandshakeErrorCode, reason: string): FirstFrame => ({
    kind: 'refused',
    codec,
    to: message.from,
    code,
    reason,
  });
  const parsed = parseHandshakeRequest(message);
  if (!parsed.ok) {
    const isOtherVersion = parsed.protocolVersion !== undefined;
    return refuse(
      isOtherVersion ? HandshakeCode.ProtocolVersionMismatch : HandshakeCode.MalformedHandshake,
      parsed.reason,
    );
  }
  if (message.to !== serverId) {
    return refuse(
      HandshakeCode.MalformedHandshake,
      `expected a handshake to '${serverId}', got one to '${message.to}'`,
    );
  }
  flatten(message.from);
  flatten(parsed.value.sessionId);
  flatten(parsed.value.extensions?.resume?.token);
  return { kind: 'request', codec, message, request: parsed.value };
}

/** A decoder may have made a text of many small pieces; one that is kept as long as its session is better kept in one. */
function flatten(text: string | undefined): void {
  // Reading a character by its position is what makes engines do it.
  text?.charCodeAt(0);
}
