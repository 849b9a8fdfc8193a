/** A line through points, and how sure its slope is. */
export interface Fit {
  slope: number;
  intercept: number;
  /** Half the width of the 95 % confidence interval of the slope. */
  margin: number;
}

/**
 * Least squares. The interval takes the deviations for independent; a heap's are not quite (what is kept by chance is
 * kept for a while), so the true one is wider.
 * @param points at least three, with different x
 */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): Fit {
  const n = points.length;
  if (n < 3) throw new RangeError(`expected three points or more, got ${n}`);
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  let xx = 0;
  let xy = 0;
  for (const [x, y] of points) {
    xx += (x - meanX) ** 2;
    xy += (x - meanX) * (y - meanY);
  }
  const slope = xy / xx;
  const intercept = meanY - slope * meanX;
  const residual = points.reduce((sum, [x, y]) => sum + (y - intercept - slope * x) ** 2, 0);
  const degrees = n - 2;
  return { slope, intercept, margin: student975(degrees) * Math.sqrt(residual / degrees / xx) };
}

/** The 97.5 % quantile of Student's t: exact for 1 and 2 degrees, within 1 % from 3 on (Cornish and Fisher). */
function student975(degrees: number): number {
  if (degrees === 1) return 12.706;
  if (degrees === 2) return 4.303;
  const z = 1.959964;
  return (
    z +
    (z ** 3 + z) / (4 * degrees) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * degrees ** 3)
  );
}
