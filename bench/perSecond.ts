/** Goes on for `ms`, several at a time. Returns how often it was done in a second. */
export async function perSecond(ms: number, lanes: number, step: (lane: number) => Promise<unknown>): Promise<number> {
  let done = 0;
  const startedAt = performance.now();
  const run = async (lane: number) => {
    while (performance.now() - startedAt < ms) {
      await step(lane);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)));
  return done / ((performance.now() - startedAt) / 1_000);
}
