// Smooths curves: an exponential moving average whose weights fall with the distance along x.

// Of points that are `halfLife` apart along x, the older counts half. The average is debiased: it is divided by the
// sum of its weights, so that it does not begin at 0. A value that is not finite has no weight, and stays a gap.
export function smoothed(x, y, halfLife) {
  if (!(halfLife > 0)) return y;
  const found = new Float64Array(y.length);
  let [sum, weight, before] = [0, 0, NaN];
  for (let i = 0; i < y.length; i++) {
    if (!Number.isFinite(y[i])) {
      found[i] = NaN;
      continue;
    }
    const fade = weight ? Math.pow(0.5, (x[i] - before) / halfLife) : 0;
    sum = sum * fade + y[i];
    weight = weight * fade + 1;
    before = x[i];
    found[i] = sum / weight;
  }
  return found;
}
