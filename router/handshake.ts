import type { ClientHandshake } from '../transport/handshake.ts';
import type { Infer, PayloadSchema } from './schema.ts';

/** How a client introduces itself: what `createClient` takes as `handshakeOptions`. */
export interface ClientHandshakeOptions<Metadata = unknown> extends ClientHandshake {
  readonly construct: () => Metadata | Promise<Metadata>;
}

/**
 * How a client introduces itself.
 * @param construct makes the metadata, anew for every handshake and re-handshake; a throw counts as a failed dial
 */
export function createClientHandshakeOptions<Metadata>(
  construct: () => Metadata | Promise<Metadata>,
): ClientHandshakeOptions<Metadata>;
/**
 * The same, typed by the server's schema. The schema only types `construct`: the server checks, and the client needs no
 * TypeBox for it.
 */
export function createClientHandshakeOptions<S extends PayloadSchema>(
  schema: S,
  construct: () => Infer<S> | Promise<Infer<S>>,
): ClientHandshakeOptions<Infer<S>>;
export function createClientHandshakeOptions(
  first: PayloadSchema | (() => unknown),
  second?: () => unknown,
): ClientHandshakeOptions {
  const construct = second ?? first;
  return { construct: construct as () => unknown }; // the overloads: a lone argument is the function
}
