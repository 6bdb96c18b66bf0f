// What the tests see of the core's inside: array versions of functions that a kernel inlines and
// the core does not export. global-setup.js compiles them, beside the core's entry and with
// asconfig.json's options, into build/test.wasm.

import { gemm, gemmWorkBytes } from "../../assembly/blas/gemm";
import { exp } from "../../assembly/math/exp";
import { log } from "../../assembly/math/log";
import { philox4x32x4 as philoxBlocks } from "../../assembly/random/philox";
import { LANES, loadTail, storeTail } from "../../assembly/simd";

/** @inline */
function expArray<T extends number>(out: usize, x: usize, n: usize): void {
  const bytes = sizeof<T>();
  let i: usize = 0;
  for (; i + LANES<T>() <= n; i += LANES<T>()) {
    v128.store(out + i * bytes, exp<T>(v128.load(x + i * bytes)));
  }
  if (i < n) storeTail<T>(out + i * bytes, exp<T>(loadTail<T>(x + i * bytes, n - i)), n - i);
}

/** out (n,) = exp(x (n,)) */
export function exp_f32(out: usize, x: usize, n: usize): void {
  expArray<f32>(out, x, n);
}

/** out (n,) = exp(x (n,)) */
export function exp_f64(out: usize, x: usize, n: usize): void {
  expArray<f64>(out, x, n);
}

/** out (n,) = log(x (n,)) */
export function log_f64(out: usize, x: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) store<f64>(out + (i << 3), log(load<f64>(x + (i << 3))));
}

/** out (16,) uint32 = blocks counter … counter + 3 under the key, lower words first. */
export function philox4x32x4(
  out: usize,
  key_low: u32,
  key_high: u32,
  counter_low: u32,
  counter_high: u32,
): void {
  const key = ((<u64>key_high) << 32) | <u64>key_low;
  const counter = ((<u64>counter_high) << 32) | <u64>counter_low;
  philoxBlocks(out, key, counter);
}

/** gemm, whose operands' rows may lie apart: the layers have dense ones alone. */
export function gemm_f32(
  c: usize,
  a: usize,
  rsa: usize,
  csa: usize,
  b: usize,
  rsb: usize,
  csb: usize,
  row: usize,
  floor: f32,
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  gemm<f32>(c, a, rsa, csa, b, rsb, csb, row, floor, work, M, N, K);
}

export function gemm_work_bytes_f32(M: usize, N: usize, K: usize, csa: usize): usize {
  return gemmWorkBytes<f32>(M, N, K, csa);
}

/** gemm, whose operands' rows may lie apart: the layers have dense ones alone. */
export function gemm_f64(
  c: usize,
  a: usize,
  rsa: usize,
  csa: usize,
  b: usize,
  rsb: usize,
  csb: usize,
  row: usize,
  floor: f64,
  work: usize,
  M: usize,
  N: usize,
  K: usize,
): void {
  gemm<f64>(c, a, rsa, csa, b, rsb, csb, row, floor, work, M, N, K);
}

export function gemm_work_bytes_f64(M: usize, N: usize, K: usize, csa: usize): usize {
  return gemmWorkBytes<f64>(M, N, K, csa);
}
