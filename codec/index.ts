export { type Codec, CodecError, MAX_NESTING } from './codec.ts';
export { MAX_BIGINT_DIGITS } from './decimal.ts';
export { detectCodec } from './detect.ts';
export { JsonCodec } from './json.ts';
export { MsgpackCodec } from './msgpack.ts';
