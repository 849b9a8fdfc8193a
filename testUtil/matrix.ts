import type { Codec } from '../codec/codec.ts';
import { JsonCodec } from '../codec/json.ts';
import { MsgpackCodec } from '../codec/msgpack.ts';
import { type TransportName, transportNames } from './links.ts';

/** Every transport × codec: one suite runs over all of them. */
export const matrix: readonly { name: string; transport: TransportName; codec: Codec }[] = transportNames.flatMap(
  (transport) => [JsonCodec, MsgpackCodec].map((codec) => ({ name: `${transport} × ${codec.name}`, transport, codec })),
);
