// One axis of a convolution: which pixels of a source each pixel of an output reads, and by which
// taps of the filter.

/**
 * Output pixel m of n reads source pixel first + m · step + a · tapStep by tap a of the taps,
 * unless that is outside [0, size): then it is padding, and adds nothing. The output pixel is
 * number to + m · toStep of its own axis, and tap a is number filter + a · filterStep of the
 * filter's.
 */
@unmanaged
export class Axis {
  n: usize;
  to: usize;
  toStep: usize;
  size: isize;
  first: isize;
  step: usize;
  taps: usize;
  tapStep: isize;
  filter: isize;
  filterStep: isize;
}

/** Writes the axis of a convolution: x of `size` pixels gives n. */
export function forwardAxis(
  axis: Axis,
  n: usize,
  size: usize,
  taps: usize,
  stride: usize,
  padding: usize,
  dilation: usize,
): void {
  axis.n = n;
  axis.to = 0;
  axis.toStep = 1;
  axis.size = size;
  axis.first = -(<isize>padding);
  axis.step = stride;
  axis.taps = taps;
  axis.tapStep = dilation;
  axis.filter = 0;
  axis.filterStep = 1;
}

/**
 * Writes an axis of the gradient for x: the pixels `phase`, phase + stride, … of x's n, which are
 * those that read dout, of `size` pixels, by the same taps. Tap u of the filter gets x's pixel p
 * from dout's pixel (p + padding − u · dilation) / stride, if that is a whole number. From one such
 * tap to the next the numerator changes by a multiple of the stride, and from one pixel of the
 * phase to the next by the stride. The taps are taken from the last to the first, so that dout is
 * read forwards.
 */
export function backwardAxis(
  axis: Axis,
  phase: usize,
  n: usize,
  size: usize,
  taps: usize,
  stride: usize,
  padding: usize,
  dilation: usize,
): void {
  // Every `apart`th tap serves the phase, if any does. Beyond the filter there is none to be found.
  let apart: usize = 1;
  while (apart < taps && (apart * dilation) % stride != 0) apart++;
  let u: usize = 0;
  const most = min(apart, taps);
  while (u < most && (<isize>(phase + padding) - <isize>(u * dilation)) % <isize>stride != 0) u++;
  const count = u < most ? (taps - 1 - u) / apart + 1 : 0;
  const last = u + (count - 1) * apart;
  axis.n = (n - phase + stride - 1) / stride;
  axis.to = phase;
  axis.toStep = stride;
  axis.size = size;
  axis.first = (<isize>(phase + padding) - <isize>(last * dilation)) / <isize>stride;
  axis.step = 1;
  axis.taps = count;
  axis.tapStep = max<usize>((apart * dilation) / stride, 1);
  axis.filter = last;
  axis.filterStep = -(<isize>apart);
}

/** Writes an axis that has `count` of another one's taps, from `tap` on. */
export function tapsOf(axis: Axis, whole: Axis, tap: usize, count: usize): void {
  memory.copy(changetype<usize>(axis), changetype<usize>(whole), offsetof<Axis>());
  axis.first += tap * whole.tapStep;
  axis.taps = count;
  axis.filter += tap * whole.filterStep;
}

/** Returns the number of pixels of `step` that cover `distance`, none if that is below 0. @inline */
function stepsTo(distance: isize, step: isize): usize {
  if (distance <= 0) return 0;
  return step == 1 ? distance : (distance + step - 1) / step;
}

/** Returns the first tap of pixel m that is inside the source, or the number of taps. @inline */
export function firstTap(axis: Axis, m: usize): usize {
  return min(axis.taps, stepsTo(-axis.first - <isize>(m * axis.step), axis.tapStep));
}

/** Returns the first tap from `from` on of pixel m that is beyond the source's end. @inline */
export function endOfTaps(axis: Axis, m: usize, from: usize): usize {
  const inside = stepsTo(axis.size - axis.first - <isize>(m * axis.step), axis.tapStep);
  return max(from, min(axis.taps, inside));
}

/** Returns the first pixel behind m that reads by other taps than `from` to `end`. */
export function endOfPixels(axis: Axis, m: usize, from: usize, end: usize): usize {
  const taps = axis.taps;
  if (taps == 0) return axis.n;
  if (from == 0 && end == taps) {
    const last = axis.size - 1 - axis.first - <isize>(taps - 1) * axis.tapStep;
    return min(axis.n, <usize>last / axis.step + 1);
  }
  do m++;
  while (m < axis.n && firstTap(axis, m) == from && endOfTaps(axis, m, from) == end);
  return m;
}
