// Copies between arrays whose axes have strides: permutations, the parts of a concatenation, and
// pixels that become blocks, along whose axes x has a stride of 0.
//
// An axis is three words: its length, and how many elements further its next index is in out and in
// x. The last axis of out is dense. If it is so in x too, runs are copied; otherwise the last two
// axes change places, in blocks that are turned in registers.

import { LANES } from "../simd";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

@unmanaged
class Axis {
  length: u32;
  out: u32;
  x: u32;
}

/** A run of fewer bytes is copied by vectors: to call the host's copy takes longer. @inline */
const SHORT: usize = 256;

/** The columns of a block whose lines stay in L1, while all rows of it are written. @inline */
const BLOCK: usize = 64;

@unmanaged
class CopyJob {
  out: usize;
  x: usize;
  axes: usize;
  rank: usize;
}

/** Copies x to out, which has no other axes; rank ≥ 2. @kernel */
export function stridedCopy<T extends number>(
  out: usize,
  x: usize,
  axes: usize, // (rank, 3) uint32
  rank: usize,
): void {
  copyFirst<T>(out, x, axes, rank, changetype<Axis>(axes).length);
}

/**
 * Copies N examples: as stridedCopy, with N in the place of the first axis' length.
 *
 * @kernel @operation copy
 */
export function copyExamples<T extends number>(
  out: usize,
  x: usize,
  window: usize, // the axes, (rank, 3) uint32
  N: usize,
  rank: f64,
): void {
  copyFirst<T>(out, x, window, <usize>rank, N);
}

/** Copies `length` indices of the first axis, which threads share. */
function copyFirst<T extends number>(
  out: usize,
  x: usize,
  axes: usize,
  rank: usize,
  length: usize,
): void {
  if (SHARED) {
    let cost = sizeof<T>();
    for (let k: usize = 1; k < rank; k++) {
      cost *= changetype<Axis>(axes + k * offsetof<Axis>()).length;
    }
    if (planSplit(length, cost)) {
      const job = jobOf<CopyJob>();
      job.out = out;
      job.x = x;
      job.axes = axes;
      job.rank = rank;
      split((from, count) => {
        const job = jobOf<CopyJob>();
        const axis = changetype<Axis>(job.axes);
        const out = at<T>(job.out, from * axis.out);
        copyAxes<T>(out, at<T>(job.x, from * axis.x), job.axes, job.rank, count);
      });
      return;
    }
  }
  copyAxes<T>(out, x, axes, rank, length);
}

/** Copies so many indices of the first axis. */
function copyAxes<T extends number>(
  out: usize,
  x: usize,
  axes: usize,
  rank: usize,
  length: usize,
): void {
  const axis = changetype<Axis>(axes);
  const inner = changetype<Axis>(axes + offsetof<Axis>());
  const isTurned = rank == 2 && inner.x != 1;
  if (isTurned && axis.x == 1) {
    turn<T>(out, x, length, axis.out, inner.length, inner.x);
    return;
  }
  for (let i: usize = 0; i < length; i++) {
    if (rank > 2) copyAxes<T>(out, x, changetype<usize>(inner), rank - 1, inner.length);
    else copyRun<T>(out, x, inner.length, inner.x);
    out = at<T>(out, axis.out);
    x = at<T>(x, axis.x);
  }
}

function copyRun<T extends number>(out: usize, x: usize, n: usize, step: usize): void {
  const bytes = n * sizeof<T>();
  if (step == 1 && bytes >= SHORT) {
    memory.copy(out, x, bytes);
    return;
  }
  let j: usize = 0;
  if (step == 1) for (; j + 16 <= bytes; j += 16) v128.store(out + j, v128.load(x + j));
  for (; j < bytes; j += sizeof<T>()) store<T>(out + j, load<T>(x + j * step));
}

/** out[r · down + c] = x[r + c · across] for R rows and C columns. */
function turn<T extends number>(
  out: usize,
  x: usize,
  R: usize,
  down: usize,
  C: usize,
  across: usize,
): void {
  const size = sizeof<T>();
  const lanes = LANES<T>();
  const line = down * size;
  const step = across * size;
  for (let from: usize = 0; from < C; from += BLOCK) {
    const end = min(C, from + BLOCK);
    let r: usize = 0;
    for (; r + lanes <= R; r += lanes) {
      let to = out + r * line + from * size;
      let p = x + r * size + from * step;
      let c = from;
      for (; c + lanes <= end; c += lanes) {
        turnSquare<T>(to, p, line, step);
        to += 16;
        p += lanes * step;
      }
      for (; c < end; c++) {
        for (let k: usize = 0; k < lanes; k++) store<T>(to + k * line, load<T>(p + k * size));
        to += size;
        p += step;
      }
    }
    for (; r < R; r++)
      copyRun<T>(out + r * line + from * size, x + r * size + from * step, end - from, across);
  }
}

/** Turns a square of vectors. @inline */
function turnSquare<T extends number>(out: usize, x: usize, line: usize, step: usize): void {
  const a = v128.load(x);
  const b = v128.load(x + step);
  if (sizeof<T>() == 8) {
    v128.store(out, v128.shuffle<u64>(a, b, 0, 2));
    v128.store(out + line, v128.shuffle<u64>(a, b, 1, 3));
    return;
  }
  const c = v128.load(x + 2 * step);
  const d = v128.load(x + 3 * step);
  const ab = v128.shuffle<u32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<u32>(c, d, 0, 4, 1, 5);
  v128.store(out, v128.shuffle<u64>(ab, cd, 0, 2));
  v128.store(out + line, v128.shuffle<u64>(ab, cd, 1, 3));
  const ab2 = v128.shuffle<u32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<u32>(c, d, 2, 6, 3, 7);
  v128.store(out + 2 * line, v128.shuffle<u64>(ab2, cd2, 0, 2));
  v128.store(out + 3 * line, v128.shuffle<u64>(ab2, cd2, 1, 3));
}
