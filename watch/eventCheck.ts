import { compileSchema, describeErrors, type PayloadSchema } from '../router/index.ts';
import { InvalidEventError } from './errors.ts';

/**
 * A check of events against their schema, compiled once.
 * @returns a function that throws {@link InvalidEventError} with paths and messages, never with values
 */
export function createEventCheck(schema: PayloadSchema): (event: unknown) => void {
  const compiled = compileSchema(schema, 'event');
  return (event) => {
    if (!compiled.check(event))
      throw new InvalidEventError(`the event does not fit its schema: ${describeErrors(compiled.errors(event))}`);
  };
}
