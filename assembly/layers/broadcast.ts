// Sums and products of two arrays with NumPy's broadcasting, and the sums over broadcast axes that
// their gradients are.
//
// An axis is three words: its length, and how many elements further its next index is in either
// operand, 0 where that is broadcast. Neighbouring axes that both operands have, or that one lacks,
// are one axis here.

import { LANES, loadF64x2, loadLanes, storeF64x2, storeLanes } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

@unmanaged
class Axis {
  length: u32;
  a: u32;
  b: u32;
}

/** Returns the axis behind this one. @inline */
function next(axes: usize): usize {
  return axes + offsetof<Axis>();
}

@unmanaged
class CombineJob {
  out: usize;
  a: usize;
  b: usize;
  axes: usize;
  rank: usize;
  each: usize;
  isProduct: bool;
}

/** out = a + b. out may be an operand that is not broadcast; rank ≥ 1. @kernel */
export function addBroadcast<T extends number>(
  out: usize,
  a: usize,
  b: usize,
  axes: usize, // (rank, 3) uint32
  rank: usize,
): void {
  combine<T>(out, a, b, axes, rank, false, changetype<Axis>(axes).length);
}

/**
 * Adds N examples: as addBroadcast, with N in the place of the first axis' length.
 *
 * @kernel @operation add
 */
export function addExamples<T extends number>(
  out: usize,
  x: usize,
  other: usize,
  window: usize, // the axes, (rank, 3) uint32
  N: usize,
  rank: f64,
): void {
  combine<T>(out, x, other, window, <usize>rank, false, N);
}

/** out = a · b, as addBroadcast. @kernel */
export function multiplyBroadcast<T extends number>(
  out: usize,
  a: usize,
  b: usize,
  axes: usize, // (rank, 3) uint32
  rank: usize,
): void {
  combine<T>(out, a, b, axes, rank, true, changetype<Axis>(axes).length);
}

/** Multiplies N examples, as addExamples adds them. @kernel @operation multiply */
export function multiplyExamples<T extends number>(
  out: usize,
  x: usize,
  other: usize,
  window: usize, // the axes, (rank, 3) uint32
  N: usize,
  rank: f64,
): void {
  combine<T>(out, x, other, window, <usize>rank, true, N);
}

/** Combines `length` indices of the first axis, which threads share. */
function combine<T extends number>(
  out: usize,
  a: usize,
  b: usize,
  axes: usize,
  rank: usize,
  isProduct: bool,
  length: usize,
): void {
  if (SHARED) {
    let each: usize = 1;
    for (let k: usize = 1; k < rank; k++)
      each *= changetype<Axis>(axes + k * offsetof<Axis>()).length;
    if (planSplit(length, (3 * each * sizeof<T>()) / 2, rank == 1 ? 16 : 1)) {
      const job = jobOf<CombineJob>();
      job.out = out;
      job.a = a;
      job.b = b;
      job.axes = axes;
      job.rank = rank;
      job.each = each;
      job.isProduct = isProduct;
      split((from, count) => {
        const j = jobOf<CombineJob>();
        const axis = changetype<Axis>(j.axes);
        const out = at<T>(j.out, from * j.each);
        const b = at<T>(j.b, from * axis.b);
        combineAxes<T>(out, at<T>(j.a, from * axis.a), b, j.axes, j.rank, count, j.isProduct);
      });
      return;
    }
  }
  combineAxes<T>(out, a, b, axes, rank, length, isProduct);
}

/** Combines so many indices of the first axis, and returns where the next belongs. */
function combineAxes<T extends number>(
  out: usize,
  a: usize,
  b: usize,
  axes: usize,
  rank: usize,
  length: usize,
  isProduct: bool,
): usize {
  const axis = changetype<Axis>(axes);
  if (rank > 1) {
    const inner: usize = changetype<Axis>(next(axes)).length;
    for (let i: usize = 0; i < length; i++) {
      out = combineAxes<T>(out, a, b, next(axes), rank - 1, inner, isProduct);
      a = at<T>(a, axis.a);
      b = at<T>(b, axis.b);
    }
    return out;
  }
  const oneA = axis.a == 0 && length > 0 ? v128.splat<T>(load<T>(a)) : v128.splat<T>(<T>0);
  const oneB = axis.b == 0 && length > 0 ? v128.splat<T>(load<T>(b)) : v128.splat<T>(<T>0);
  for (let j: usize = 0; j < length; j += LANES<T>()) {
    const p = j * sizeof<T>();
    const lanes = min(length - j, LANES<T>());
    const va = axis.a != 0 ? loadLanes<T>(a + p, lanes) : oneA;
    const vb = axis.b != 0 ? loadLanes<T>(b + p, lanes) : oneB;
    storeLanes<T>(out + p, isProduct ? v128.mul<T>(va, vb) : v128.add<T>(va, vb), lanes);
  }
  return at<T>(out, length);
}

/**
 * The gradient of a broadcast operand: da (n,) = Σ dout · b over the axes that a lacks, or Σ dout
 * where b is 0. The sums are float64, in the order of dout. sums (n,) float64 is the workspace.
 *
 * @kernel
 */
export function sumBroadcast<T extends number>(
  da: usize,
  dout: usize,
  b: usize,
  sums: usize,
  axes: usize, // (rank, 3) uint32: lengths, and the strides of da and b
  rank: usize,
  n: usize,
): void {
  memory.fill(sums, 0, n << 3);
  sumAxes<T>(sums, dout, b, axes, rank);
  for (let i: usize = 0; i < n; i++) store<T>(at<T>(da, i), <T>load<f64>(at<f64>(sums, i)));
}

/** Adds what there is under the first axis, and returns where dout goes on. */
function sumAxes<T extends number>(
  sums: usize,
  dout: usize,
  b: usize,
  axes: usize,
  rank: usize,
): usize {
  const axis = changetype<Axis>(axes);
  const length: usize = axis.length;
  if (rank > 1) {
    for (let i: usize = 0; i < length; i++) {
      dout = sumAxes<T>(sums, dout, b, next(axes), rank - 1);
      sums = at<f64>(sums, axis.a);
      if (b != 0) b = at<T>(b, axis.b);
    }
    return dout;
  }
  let sum = f64x2.splat(0);
  for (let j: usize = 0; j < length; j += 2) {
    const lanes = min(length - j, 2);
    let d = loadF64x2<T>(at<T>(dout, j), lanes);
    if (b != 0) {
      const factor = axis.b != 0 ? loadF64x2<T>(at<T>(b, j), lanes) : f64x2.splat(<f64>load<T>(b));
      d = f64x2.mul(d, factor);
    }
    const p = at<f64>(sums, j);
    if (axis.a == 0) sum = f64x2.add(sum, lanes == 2 ? d : f64x2.replace_lane(d, 1, 0));
    else storeF64x2<f64>(p, f64x2.add(loadF64x2<f64>(p, lanes), d), lanes);
  }
  if (axis.a == 0) {
    const total = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
    store<f64>(sums, load<f64>(sums) + total);
  }
  return at<T>(dout, length);
}
