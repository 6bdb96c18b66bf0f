// Packing: a panel of W vectors of length K, copied so that the microkernel reads it in order.
//
// panel[k · W + i] = source[i · vectorStride + k · stepStride] for i < count, 0 for count ≤ i < W,
// strides in elements, and one of the two strides is 1: row-major operands give no other, whether
// they are read as they are or transposed. W is a multiple of LANES, or half a vector more (the six
// rows of relaxed builds).

import { LANES, RELAXED } from "../simd";
import { PW } from "./tile";

export function pack<T extends number>(
  panel: usize, // (K, W)
  source: usize,
  vectorStride: usize,
  stepStride: usize,
  count: usize,
  W: usize,
  K: usize,
): void {
  if (count < W) packPartial<T>(panel, source, vectorStride, stepStride, count, W, K);
  else if (vectorStride == 1) packSteps<T>(panel, source, stepStride, W, K);
  else packVectors<T>(panel, source, vectorStride, W, K);
}

/** Copies the W elements of each step, which lie side by side. */
function packSteps<T extends number>(
  panel: usize,
  source: usize,
  stepStride: usize,
  W: usize,
  K: usize,
): void {
  const bytes = W * sizeof<T>();
  const whole = bytes & ~15;
  const step = stepStride * sizeof<T>();
  for (let k: usize = 0; k < K; k++) {
    for (let i: usize = 0; i < whole; i += 16) v128.store(panel + i, v128.load(source + i));
    if (RELAXED && whole < bytes) store<u64>(panel + whole, load<u64>(source + whole));
    panel += bytes;
    source += step;
  }
}

/**
 * Reads LANES vectors at a time, each of which lies in one piece, and transposes them in registers.
 */
function packVectors<T extends number>(
  panel: usize,
  source: usize,
  vectorStride: usize,
  W: usize,
  K: usize,
): void {
  const vector = vectorStride * sizeof<T>();
  const row = W * sizeof<T>();
  const whole = K & ~(LANES<T>() - 1);
  const most = W & ~(LANES<T>() - 1);
  if (RELAXED && sizeof<T>() == 4 && most < W) {
    packTwo(panel + 4 * most, source + most * vector, vector, W, K);
  }
  for (let i: usize = 0; i < most; i += LANES<T>()) {
    let from = source + i * vector;
    let to = panel + i * sizeof<T>();
    let k: usize = 0;
    for (; k < whole; k += LANES<T>()) {
      if (sizeof<T>() == 8) {
        const a = v128.load(from);
        const b = v128.load(from + vector);
        v128.store(to, v128.shuffle<f64>(a, b, 0, 2));
        v128.store(to + row, v128.shuffle<f64>(a, b, 1, 3));
      } else {
        const a = v128.load(from);
        const b = v128.load(from + vector);
        const c = v128.load(from + 2 * vector);
        const d = v128.load(from + 3 * vector);
        const abLow = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
        const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
        const cdLow = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
        const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
        v128.store(to, v128.shuffle<f64>(abLow, cdLow, 0, 2));
        v128.store(to + row, v128.shuffle<f64>(abLow, cdLow, 1, 3));
        v128.store(to + 2 * row, v128.shuffle<f64>(abHigh, cdHigh, 0, 2));
        v128.store(to + 3 * row, v128.shuffle<f64>(abHigh, cdHigh, 1, 3));
      }
      from += 16;
      to += LANES<T>() * row;
    }
    for (; k < K; k++) {
      for (let lane: usize = 0; lane < LANES<T>(); lane++) {
        store<T>(to + lane * sizeof<T>(), load<T>(from + lane * vector));
      }
      from += sizeof<T>();
      to += row;
    }
  }
}

/** Packs two vectors of float32, beside those that packVectors takes by four. */
function packTwo(panel: usize, source: usize, vector: usize, W: usize, K: usize): void {
  const row = 4 * W;
  const end = source + 4 * (K & ~3);
  while (source != end) {
    const a = v128.load(source);
    const b = v128.load(source + vector);
    const low = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const high = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    v128.store_lane<u64>(panel, low, 0);
    v128.store_lane<u64>(panel + row, low, 1);
    v128.store_lane<u64>(panel + 2 * row, high, 0);
    v128.store_lane<u64>(panel + 3 * row, high, 1);
    source += 16;
    panel += 4 * row;
  }
  for (let k = K & 3; k > 0; k--) {
    store<f32>(panel, load<f32>(source));
    store<f32>(panel, load<f32>(source + vector), 4);
    source += 4;
    panel += row;
  }
}

/**
 * Packs the last panel of an operand, which has fewer vectors than W, with zeros in their place.
 */
function packPartial<T extends number>(
  panel: usize,
  source: usize,
  vectorStride: usize,
  stepStride: usize,
  count: usize,
  W: usize,
  K: usize,
): void {
  const vector = vectorStride * sizeof<T>();
  const step = stepStride * sizeof<T>();
  const row = W * sizeof<T>();
  for (let k: usize = 0; k < K; k++) {
    let i: usize = 0;
    for (; i < count; i++) store<T>(panel + i * sizeof<T>(), load<T>(source + i * vector));
    for (; i < W; i++) store<T>(panel + i * sizeof<T>(), <T>0);
    panel += row;
    source += step;
  }
}

/**
 * panels (K · N,) = b (K, N) with its columns in groups of PW, the last with what is left of them,
 * each group row after row: what gemmPanels reads in order. b's rows are rsb elements apart.
 */
export function packPanels<T extends number>(
  panels: usize,
  b: usize,
  rsb: usize,
  K: usize,
  N: usize,
): void {
  const size = sizeof<T>();
  for (let j: usize = 0; j < N; j += PW<T>()) {
    const bytes = min(N - j, PW<T>()) * size;
    for (let k: usize = 0; k < K; k++) {
      memory.copy(panels, b + (k * rsb + j) * size, bytes);
      panels += bytes;
    }
  }
}

/** Packs as packPanels, for a b whose columns lie in one piece each, csb elements apart. */
export function packTurned<T extends number>(
  panels: usize,
  b: usize,
  csb: usize,
  K: usize,
  N: usize,
): void {
  const size = sizeof<T>();
  for (let j: usize = 0; j < N; j += PW<T>()) {
    const width = min(N - j, PW<T>());
    const from = b + j * csb * size;
    if (width == PW<T>()) {
      packVectors<T>(panels, from, csb, width, K);
    } else {
      for (let k: usize = 0; k < K; k++) {
        for (let i: usize = 0; i < width; i++) {
          store<T>(panels + (k * width + i) * size, load<T>(from + (i * csb + k) * size));
        }
      }
    }
    panels += width * K * size;
  }
}
