import type { HandshakePeer, HandshakeRejectionCode, ServerHandshake } from '../transport/handshake.ts';
import { compileSchema, describeErrors, type Infer, type PayloadSchema } from './schema.ts';

/** How a server judges who connects: what `createServer` takes as `handshakeOptions`. */
export interface ServerHandshakeOptions<Metadata extends object = object> extends ServerHandshake {
  /** Type only: what `ctx.metadata` will be. */
  readonly '~metadata'?: Metadata | undefined;
}

/** What a validator may answer: the session's metadata, or why not. */
type Verdict<Metadata> = Metadata | HandshakeRejectionCode;

/** More about whom the metadata speaks for. */
export interface ServerHandshakeExtras<Metadata extends object> {
  /** Names whom the metadata speaks for; a client id belongs to the principal of its live session. */
  principal?: ((metadata: Metadata) => string) | undefined;
  /** When the credential ends, or undefined if it never does; the client is asked again in time. */
  expiry?: ((metadata: Metadata) => Date | number | undefined) | undefined;
}

/**
 * How a server judges who connects.
 * @param schema describes what clients send as metadata; anything else is refused as `MALFORMED_HANDSHAKE_META`
 * @param validate makes the session's metadata of it, or returns `REJECTED_BY_CUSTOM_HANDLER` or
 *   `REJECTED_UNSUPPORTED_CLIENT`. Called at every handshake and re-handshake, with what it returned before for the same
 *   session (annotate it to use it: its type cannot depend on what the same function returns), the client's id and the
 *   connection it came on. May be asynchronous; a throw refuses
 */
export function createServerHandshakeOptions<
  S extends PayloadSchema,
  Metadata extends object,
  Previous extends object = object,
>(
  schema: S,
  validate: (
    metadata: Infer<S>,
    previous: Previous | undefined,
    from: string,
    peer: HandshakePeer,
  ) => Verdict<Metadata> | Promise<Verdict<Metadata>>,
  { principal, expiry }: ServerHandshakeExtras<NoInfer<Metadata>> = {},
): ServerHandshakeOptions<Metadata> {
  const compiled = compileSchema(schema, 'handshake metadata');
  return {
    checkMetadata: (metadata) => (compiled.check(metadata) ? undefined : describeErrors(compiled.errors(metadata))),
    // The casts: the transport hands in what passed checkMetadata, and gives back what validate returned before.
    validate: (metadata, previous, from, peer) =>
      validate(metadata as Infer<S>, previous as Previous | undefined, from, peer),
    principal: principal === undefined ? undefined : (metadata) => principal(metadata as Metadata),
    expiry: expiry === undefined ? undefined : (metadata) => expiry(metadata as Metadata),
  };
}
