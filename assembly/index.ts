// The exports, and nothing else. The ABI is told in README.md: outputs, inputs, saved state,
// workspace, dimensions, numbers. Bare names are byte addresses.

import {
  affineBackward,
  affineBackwardWorkBytes,
  affineForward,
  affineForwardWorkBytes,
} from "./layers/affine";
import {
  batchnormBackward,
  batchnormForward,
  batchnormMoments,
  batchnormWorkBytes,
} from "./layers/batchnorm";
import {
  dropoutBackward,
  dropoutForward,
  dropoutForwardSeeded,
  dropoutSeededWorkBytes,
  dropoutWorkBytes,
} from "./layers/dropout";
import { reluBackward, reluForward } from "./layers/relu";
import { softmaxLoss, softmaxLossWorkBytes } from "./losses/softmax";
import { svmLoss } from "./losses/svm";
import { sgdMomentum } from "./optim/sgd";
import {
  mt19937Permutation,
  mt19937Rand,
  mt19937Randint,
  mt19937Randn,
  mt19937Seed,
  mt19937StateBytes,
} from "./random/mt19937";

/** The first byte of the memory that no constant of the core takes. */
export function heap_base(): usize {
  return __heap_base;
}

export function affine_forward_work_bytes_f32(N: usize, D: usize, M: usize): usize {
  return affineForwardWorkBytes<f32>(N, D, M);
}

export function affine_forward_work_bytes_f64(N: usize, D: usize, M: usize): usize {
  return affineForwardWorkBytes<f64>(N, D, M);
}

export function affine_forward_f32(
  out: usize,
  x: usize,
  w: usize,
  b: usize,
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  affineForward<f32>(out, x, w, b, <f32>-Infinity, work, N, D, M);
}

export function affine_relu_forward_f32(
  out: usize,
  x: usize,
  w: usize,
  b: usize,
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  affineForward<f32>(out, x, w, b, 0, work, N, D, M);
}

export function affine_forward_f64(
  out: usize,
  x: usize,
  w: usize,
  b: usize,
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  affineForward<f64>(out, x, w, b, <f64>-Infinity, work, N, D, M);
}

export function affine_relu_forward_f64(
  out: usize,
  x: usize,
  w: usize,
  b: usize,
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  affineForward<f64>(out, x, w, b, 0, work, N, D, M);
}

export function affine_backward_work_bytes_f32(N: usize, D: usize, M: usize): usize {
  return affineBackwardWorkBytes<f32>(N, D, M);
}

export function affine_backward_work_bytes_f64(N: usize, D: usize, M: usize): usize {
  return affineBackwardWorkBytes<f64>(N, D, M);
}

export function affine_backward_f32(
  dx: usize,
  dw: usize,
  db: usize,
  dout: usize,
  x: usize,
  w: usize,
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  affineBackward<f32>(dx, dw, db, dout, x, w, work, N, D, M);
}

export function affine_backward_f64(
  dx: usize,
  dw: usize,
  db: usize,
  dout: usize,
  x: usize,
  w: usize,
  work: usize,
  N: usize,
  D: usize,
  M: usize,
): void {
  affineBackward<f64>(dx, dw, db, dout, x, w, work, N, D, M);
}

export function relu_forward_f32(out: usize, x: usize, n: usize): void {
  reluForward<f32>(out, x, n);
}

export function relu_forward_f64(out: usize, x: usize, n: usize): void {
  reluForward<f64>(out, x, n);
}

export function relu_backward_f32(dx: usize, dout: usize, x: usize, n: usize): void {
  reluBackward<f32>(dx, dout, x, n);
}

export function relu_backward_f64(dx: usize, dout: usize, x: usize, n: usize): void {
  reluBackward<f64>(dx, dout, x, n);
}

export function batchnorm_work_bytes(D: usize): usize {
  return batchnormWorkBytes(D);
}

export function batchnorm_forward_f32(
  out: usize,
  saved: usize,
  running_mean: usize,
  running_var: usize,
  x: usize,
  gamma: usize,
  beta: usize,
  work: usize,
  N: usize,
  D: usize,
  eps: f64,
  momentum: f64,
  training: bool,
): void {
  batchnormForward<f32>(
    out,
    saved,
    running_mean,
    running_var,
    x,
    gamma,
    beta,
    work,
    N,
    D,
    eps,
    momentum,
    training,
  );
}

export function batchnorm_forward_f64(
  out: usize,
  saved: usize,
  running_mean: usize,
  running_var: usize,
  x: usize,
  gamma: usize,
  beta: usize,
  work: usize,
  N: usize,
  D: usize,
  eps: f64,
  momentum: f64,
  training: bool,
): void {
  batchnormForward<f64>(
    out,
    saved,
    running_mean,
    running_var,
    x,
    gamma,
    beta,
    work,
    N,
    D,
    eps,
    momentum,
    training,
  );
}

export function batchnorm_backward_f32(
  dx: usize,
  dgamma: usize,
  dbeta: usize,
  dout: usize,
  x: usize,
  gamma: usize,
  saved: usize,
  work: usize,
  N: usize,
  D: usize,
  training: bool,
): void {
  batchnormBackward<f32>(dx, dgamma, dbeta, dout, x, gamma, saved, work, N, D, training);
}

export function batchnorm_backward_f64(
  dx: usize,
  dgamma: usize,
  dbeta: usize,
  dout: usize,
  x: usize,
  gamma: usize,
  saved: usize,
  work: usize,
  N: usize,
  D: usize,
  training: bool,
): void {
  batchnormBackward<f64>(dx, dgamma, dbeta, dout, x, gamma, saved, work, N, D, training);
}

export function batchnorm_moments_f32(
  mean: usize,
  m2: usize,
  x: usize,
  work: usize,
  N: usize,
  D: usize,
): void {
  batchnormMoments<f32>(mean, m2, x, work, N, D);
}

export function batchnorm_moments_f64(
  mean: usize,
  m2: usize,
  x: usize,
  work: usize,
  N: usize,
  D: usize,
): void {
  batchnormMoments<f64>(mean, m2, x, work, N, D);
}

export function dropout_seeded_work_bytes(): usize {
  return dropoutSeededWorkBytes();
}

export function dropout_forward_seeded_f32(
  out: usize,
  mask: usize,
  x: usize,
  work: usize,
  n: usize,
  p: f64,
  seed: u32,
): void {
  dropoutForwardSeeded<f32>(out, mask, x, work, n, p, seed);
}

export function dropout_forward_seeded_f64(
  out: usize,
  mask: usize,
  x: usize,
  work: usize,
  n: usize,
  p: f64,
  seed: u32,
): void {
  dropoutForwardSeeded<f64>(out, mask, x, work, n, p, seed);
}

export function dropout_work_bytes(): usize {
  return dropoutWorkBytes();
}

export function dropout_forward_f32(
  out: usize,
  mask: usize,
  x: usize,
  work: usize,
  n: usize,
  p: f64,
  key: u32,
  counter_low: u32,
  counter_high: u32,
): void {
  dropoutForward<f32>(out, mask, x, work, n, p, key, counter_low, counter_high);
}

export function dropout_forward_f64(
  out: usize,
  mask: usize,
  x: usize,
  work: usize,
  n: usize,
  p: f64,
  key: u32,
  counter_low: u32,
  counter_high: u32,
): void {
  dropoutForward<f64>(out, mask, x, work, n, p, key, counter_low, counter_high);
}

export function dropout_backward_f32(dx: usize, dout: usize, mask: usize, n: usize): void {
  dropoutBackward<f32>(dx, dout, mask, n);
}

export function dropout_backward_f64(dx: usize, dout: usize, mask: usize, n: usize): void {
  dropoutBackward<f64>(dx, dout, mask, n);
}

export function svm_loss_f32(dx: usize, x: usize, y: usize, N: usize, C: usize): f64 {
  return svmLoss<f32>(dx, x, y, N, C);
}

export function svm_loss_f64(dx: usize, x: usize, y: usize, N: usize, C: usize): f64 {
  return svmLoss<f64>(dx, x, y, N, C);
}

export function softmax_loss_work_bytes_f32(C: usize): usize {
  return softmaxLossWorkBytes<f32>(C);
}

export function softmax_loss_work_bytes_f64(C: usize): usize {
  return softmaxLossWorkBytes<f64>(C);
}

export function softmax_loss_f32(
  dx: usize,
  x: usize,
  y: usize,
  work: usize,
  N: usize,
  C: usize,
): f64 {
  return softmaxLoss<f32>(dx, x, y, work, N, C);
}

export function softmax_loss_f64(
  dx: usize,
  x: usize,
  y: usize,
  work: usize,
  N: usize,
  C: usize,
): f64 {
  return softmaxLoss<f64>(dx, x, y, work, N, C);
}

export function sgd_momentum_f32(
  w: usize,
  v: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  momentum: f64,
): void {
  sgdMomentum<f32>(w, v, dw, n, learning_rate, momentum);
}

export function sgd_momentum_f64(
  w: usize,
  v: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  momentum: f64,
): void {
  sgdMomentum<f64>(w, v, dw, n, learning_rate, momentum);
}

export function mt19937_state_bytes(): usize {
  return mt19937StateBytes();
}

export function mt19937_seed(state: usize, seed: u32): void {
  mt19937Seed(state, seed);
}

export function mt19937_rand(out: usize, state: usize, n: usize): void {
  mt19937Rand(out, state, n);
}

export function mt19937_randn(out: usize, state: usize, n: usize): void {
  mt19937Randn(out, state, n);
}

export function mt19937_randint(out: usize, state: usize, n: usize, low: i32, range: u32): void {
  mt19937Randint(out, state, n, low, range);
}

export function mt19937_permutation(out: usize, state: usize, n: usize): void {
  mt19937Permutation(out, state, n);
}
