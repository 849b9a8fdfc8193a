import type { ServerCall } from './serverCall.ts';

/**
 * The open calls of a server, linked through the calls themselves: a Set would keep every call alive until the next full
 * collection (transport/numberMap.ts says why).
 */
export class CallList {
  #first: ServerCall | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(call: ServerCall): void {
    call.isListed = true;
    call.nextCall = this.#first;
    if (this.#first !== undefined) this.#first.previousCall = call;
    this.#first = call;
    this.#size += 1;
  }

  /** Harmless for a call that was never added. */
  remove(call: ServerCall): void {
    if (!call.isListed) return;
    const { previousCall, nextCall } = call;
    if (previousCall === undefined) this.#first = nextCall;
    else previousCall.nextCall = nextCall;
    if (nextCall !== undefined) nextCall.previousCall = previousCall;
    // What has ended keeps nobody alive.
    call.previousCall = undefined;
    call.nextCall = undefined;
    call.isListed = false;
    this.#size -= 1;
  }

  /** The calls, the oldest first; a snapshot. */
  all(): ServerCall[] {
    const calls: ServerCall[] = [];
    for (let call = this.#first; call !== undefined; call = call.nextCall) calls.push(call);
    return calls.reverse();
  }
}
