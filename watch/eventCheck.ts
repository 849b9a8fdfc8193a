import { compileSchema, describeErrors, type PayloadSchema } from '../router/index.ts';
import { weigh } from './chunk.ts';
import { InvalidEventError } from './errors.ts';

/**
 * A check of events against their schema, compiled once.
 * @param maxBytes what an event weighs at most
 * @returns a function that throws {@link InvalidEventError} with paths and messages, never with values
 */
export function createEventCheck(schema: PayloadSchema, maxBytes = Number.POSITIVE_INFINITY): (event: unknown) => void {
  const compiled = compileSchema(schema, 'event');
  return (event) => {
    if (!compiled.check(event))
      throw new InvalidEventError(`the event does not fit its schema: ${describeErrors(compiled.errors(event))}`);
    if (maxBytes !== Number.POSITIVE_INFINITY) checkWeight(weigh(event), maxBytes);
  };
}

function checkWeight(bytes: number, maxBytes: number): void {
  if (bytes === Number.POSITIVE_INFINITY)
    throw new InvalidEventError('the event holds something that no codec carries, or is nested too deeply');
  if (bytes > maxBytes)
    throw new InvalidEventError(`the event is too large: expected at most ${maxBytes} bytes, got up to ${bytes}`);
}
