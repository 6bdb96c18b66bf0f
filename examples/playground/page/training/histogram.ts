/** How many of some values lie where between two bounds. */
export interface Histogram {
  low: number;
  high: number;
  /** Of bins of one width. */
  counts: Uint32Array;
  mean: number;
  /** The standard deviation. */
  deviation: number;
  /** The share of values that are exactly 0, as a ReLU leaves them. */
  zeros: number;
}

const BINS = 40;

/** 0, or the next of … 0.1, 0.2, 0.5, 1, 2, 5 … that is as far out, so that bounds stand still while values move. */
export function roundOut(value: number): number {
  const size = Math.abs(value);
  if (!(size > 0) || size === Infinity) return 0;
  let unit = 1;
  while (unit > size) unit /= 10;
  while (unit * 10 < size) unit *= 10;
  const step = [1, 2, 5, 10].find((factor) => factor * unit >= size)!;
  return value < 0 ? -step * unit : step * unit;
}

/** Bounds are those of the values, but no further than four deviations out: what lies beyond is in the outermost bins. */
export function histogramOf(values: ArrayLike<number>): Histogram {
  let [least, most, sum, squares, none] = [0, 0, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    least = Math.min(least, value);
    most = Math.max(most, value);
    sum += value;
    squares += value * value;
    if (value === 0) none++;
  }
  const mean = sum / values.length;
  const deviation = Math.sqrt(Math.max(0, squares / values.length - mean * mean));
  const low = roundOut(Math.max(least, mean - 4 * deviation));
  const high = roundOut(Math.min(most, mean + 4 * deviation)) || 1e-12;
  const counts = new Uint32Array(BINS);
  const scale = BINS / (high - low);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value === 0) continue;
    const bin = Math.floor((value - low) * scale);
    counts[Math.max(0, Math.min(BINS - 1, bin))]!++;
  }
  return { low, high, counts, mean, deviation, zeros: none / values.length };
}
