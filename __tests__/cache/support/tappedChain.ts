import { Chain, type ChainOptions, type Doc } from './chain.ts';
import { Tap } from './tap.ts';

/** A chain whose last hop hears what the test lets pass. */
export async function tappedChain(options: ChainOptions = {}) {
  let tap: Tap<Doc> | undefined;
  const last = (options.nodes ?? 3) - 1;
  const wrap: ChainOptions['wrap'] = (upstream, index) => {
    if (index !== last) return upstream;
    tap = new Tap(upstream);
    return tap;
  };
  const chain = await Chain.create({ ...options, wrap });
  if (tap === undefined) throw new Error('there is no last hop');
  return { chain, tap };
}

/** How a promise stands. */
export function outcomeOf(promise: Promise<unknown>): { state: string; error?: unknown } {
  const outcome: { state: string; error?: unknown } = { state: 'pending' };
  promise.then(
    () => {
      outcome.state = 'resolved';
    },
    (error: unknown) => {
      outcome.state = 'rejected';
      outcome.error = error;
    },
  );
  return outcome;
}
