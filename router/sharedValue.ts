import { SharedPayload } from '../transport/sharedPayload.ts';
import type { LiveProcedure } from './openCall.ts';

/** A value on its way to many writables: judged once for each procedure, and encoded once for each codec. */
export class SharedValue {
  readonly value: unknown;
  readonly #judged = new Map<LiveProcedure, SharedPayload>();

  constructor(value: unknown) {
    this.value = value;
  }

  /**
   * @param judge makes of the value what is sent for that procedure
   * @throws what `judge` throws
   */
  payloadFor(procedure: LiveProcedure, judge: () => unknown): SharedPayload {
    let payload = this.#judged.get(procedure);
    if (payload === undefined) {
      payload = new SharedPayload(judge());
      this.#judged.set(procedure, payload);
    }
    return payload;
  }
}
