/** The middle one of some figures, or the mean of the two in the middle. */
export function medianOf(figures: readonly number[]): number {
  const sorted = Float64Array.from(figures).sort();
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  if (upper === undefined) throw new RangeError('expected at least one figure');
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? upper) + upper) / 2 : upper;
}
