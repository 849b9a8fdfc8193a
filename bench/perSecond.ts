/** Goes on for `ms`, several at a time. Returns how often it was done in a second. */
export async function perSecond(ms: number, lanes: number, step: () => Promise<unknown>): Promise<number> {
  let done = 0;
  const startedAt = performance.now();
  const lane = async () => {
    while (performance.now() - startedAt < ms) {
      await step();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return done / ((performance.now() - startedAt) / 1_000);
}
