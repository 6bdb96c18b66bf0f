// The exports, and nothing else. The ABI is told in README.md: outputs, inputs, saved state,
// workspace, dimensions, numbers. Bare names are byte addresses.

import { axpy, dot, scal } from "./blas/level1";
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
import { geluBackward, geluForward } from "./layers/gelu";
import { leakyReluBackward, leakyReluForward } from "./layers/leaky_relu";
import { normalizeBackward, normalizeForward } from "./layers/normalize";
import { reluBackward, reluForward } from "./layers/relu";
import { sigmoidBackward, sigmoidForward } from "./layers/sigmoid";
import { softmaxBackward, softmaxForward } from "./layers/softmax";
import { tanhBackward, tanhForward } from "./layers/tanh";
import { bceWithLogitsLoss } from "./losses/bce";
import { mseLoss } from "./losses/mse";
import { softmaxLoss, softmaxLossWorkBytes } from "./losses/softmax";
import { svmLoss } from "./losses/svm";
import { cos as cosine } from "./math/cos";
import { argmax } from "./math/reduce";
import { adam, adamw } from "./optim/adam";
import { rmsprop } from "./optim/rmsprop";
import { sgd, sgdMomentum, sgdNesterov } from "./optim/sgd";
import { predict, predictPack, predictWorkBytes } from "./predict";
import {
  mt19937Permutation,
  mt19937Rand,
  mt19937Randint,
  mt19937Randn,
  mt19937Seed,
  mt19937StateBytes,
} from "./random/mt19937";
import { RELAXED } from "./simd";
import { freeBase } from "./threads/queue";

/** The first byte of the memory that neither constants nor the queue of a shared build take. */
export function heap_base(): usize {
  return freeBase();
}

/** Whether products and sums are rounded together where the host can. */
export function is_relaxed(): bool {
  return RELAXED;
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

export function sigmoid_forward_f32(out: usize, x: usize, n: usize): void {
  sigmoidForward<f32>(out, x, n);
}

export function sigmoid_forward_f64(out: usize, x: usize, n: usize): void {
  sigmoidForward<f64>(out, x, n);
}

export function sigmoid_backward_f32(dx: usize, dout: usize, out: usize, n: usize): void {
  sigmoidBackward<f32>(dx, dout, out, n);
}

export function sigmoid_backward_f64(dx: usize, dout: usize, out: usize, n: usize): void {
  sigmoidBackward<f64>(dx, dout, out, n);
}

export function tanh_forward_f32(out: usize, x: usize, n: usize): void {
  tanhForward<f32>(out, x, n);
}

export function tanh_forward_f64(out: usize, x: usize, n: usize): void {
  tanhForward<f64>(out, x, n);
}

export function tanh_backward_f32(dx: usize, dout: usize, out: usize, n: usize): void {
  tanhBackward<f32>(dx, dout, out, n);
}

export function tanh_backward_f64(dx: usize, dout: usize, out: usize, n: usize): void {
  tanhBackward<f64>(dx, dout, out, n);
}

export function leaky_relu_forward_f32(out: usize, x: usize, n: usize, negative_slope: f64): void {
  leakyReluForward<f32>(out, x, n, negative_slope);
}

export function leaky_relu_forward_f64(out: usize, x: usize, n: usize, negative_slope: f64): void {
  leakyReluForward<f64>(out, x, n, negative_slope);
}

export function leaky_relu_backward_f32(
  dx: usize,
  dout: usize,
  x: usize,
  n: usize,
  negative_slope: f64,
): void {
  leakyReluBackward<f32>(dx, dout, x, n, negative_slope);
}

export function leaky_relu_backward_f64(
  dx: usize,
  dout: usize,
  x: usize,
  n: usize,
  negative_slope: f64,
): void {
  leakyReluBackward<f64>(dx, dout, x, n, negative_slope);
}

export function gelu_forward_f32(out: usize, x: usize, n: usize): void {
  geluForward<f32>(out, x, n);
}

export function gelu_forward_f64(out: usize, x: usize, n: usize): void {
  geluForward<f64>(out, x, n);
}

export function gelu_backward_f32(dx: usize, dout: usize, x: usize, n: usize): void {
  geluBackward<f32>(dx, dout, x, n);
}

export function gelu_backward_f64(dx: usize, dout: usize, x: usize, n: usize): void {
  geluBackward<f64>(dx, dout, x, n);
}

export function softmax_forward_f32(out: usize, x: usize, N: usize, C: usize): void {
  softmaxForward<f32>(out, x, N, C);
}

export function softmax_forward_f64(out: usize, x: usize, N: usize, C: usize): void {
  softmaxForward<f64>(out, x, N, C);
}

export function softmax_backward_f32(dx: usize, dout: usize, out: usize, N: usize, C: usize): void {
  softmaxBackward<f32>(dx, dout, out, N, C);
}

export function softmax_backward_f64(dx: usize, dout: usize, out: usize, N: usize, C: usize): void {
  softmaxBackward<f64>(dx, dout, out, N, C);
}

export function normalize_forward_f32(
  out: usize,
  x: usize,
  mean: usize,
  std: usize,
  N: usize,
  D: usize,
): void {
  normalizeForward<f32>(out, x, mean, std, N, D);
}

export function normalize_forward_f64(
  out: usize,
  x: usize,
  mean: usize,
  std: usize,
  N: usize,
  D: usize,
): void {
  normalizeForward<f64>(out, x, mean, std, N, D);
}

export function normalize_backward_f32(
  dx: usize,
  dout: usize,
  std: usize,
  N: usize,
  D: usize,
): void {
  normalizeBackward<f32>(dx, dout, std, N, D);
}

export function normalize_backward_f64(
  dx: usize,
  dout: usize,
  std: usize,
  N: usize,
  D: usize,
): void {
  normalizeBackward<f64>(dx, dout, std, N, D);
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

export function svm_loss_f32(
  dx: usize,
  x: usize,
  y: usize,
  weights: usize,
  N: usize,
  C: usize,
  W: f64,
): f64 {
  return svmLoss<f32>(dx, x, y, weights, N, C, W);
}

export function svm_loss_f64(
  dx: usize,
  x: usize,
  y: usize,
  weights: usize,
  N: usize,
  C: usize,
  W: f64,
): f64 {
  return svmLoss<f64>(dx, x, y, weights, N, C, W);
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
  weights: usize,
  work: usize,
  N: usize,
  C: usize,
  W: f64,
): f64 {
  return softmaxLoss<f32>(dx, x, y, weights, work, N, C, W);
}

export function softmax_loss_f64(
  dx: usize,
  x: usize,
  y: usize,
  weights: usize,
  work: usize,
  N: usize,
  C: usize,
  W: f64,
): f64 {
  return softmaxLoss<f64>(dx, x, y, weights, work, N, C, W);
}

export function bce_with_logits_loss_f32(dx: usize, x: usize, y: usize, n: usize): f64 {
  return bceWithLogitsLoss<f32>(dx, x, y, n);
}

export function bce_with_logits_loss_f64(dx: usize, x: usize, y: usize, n: usize): f64 {
  return bceWithLogitsLoss<f64>(dx, x, y, n);
}

export function mse_loss_f32(dx: usize, x: usize, y: usize, n: usize): f64 {
  return mseLoss<f32>(dx, x, y, n);
}

export function mse_loss_f64(dx: usize, x: usize, y: usize, n: usize): f64 {
  return mseLoss<f64>(dx, x, y, n);
}

export function sgd_f32(w: usize, dw: usize, n: usize, learning_rate: f64): void {
  sgd<f32>(w, dw, n, learning_rate);
}

export function sgd_f64(w: usize, dw: usize, n: usize, learning_rate: f64): void {
  sgd<f64>(w, dw, n, learning_rate);
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

export function sgd_nesterov_f32(
  w: usize,
  v: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  momentum: f64,
): void {
  sgdNesterov<f32>(w, v, dw, n, learning_rate, momentum);
}

export function sgd_nesterov_f64(
  w: usize,
  v: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  momentum: f64,
): void {
  sgdNesterov<f64>(w, v, dw, n, learning_rate, momentum);
}

export function rmsprop_f32(
  w: usize,
  cache: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  decay_rate: f64,
  eps: f64,
): void {
  rmsprop<f32>(w, cache, dw, n, learning_rate, decay_rate, eps);
}

export function rmsprop_f64(
  w: usize,
  cache: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  decay_rate: f64,
  eps: f64,
): void {
  rmsprop<f64>(w, cache, dw, n, learning_rate, decay_rate, eps);
}

export function adam_f32(
  w: usize,
  m: usize,
  v: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  beta1: f64,
  beta2: f64,
  eps: f64,
  correction1: f64,
  correction2: f64,
): void {
  adam<f32>(w, m, v, dw, n, learning_rate, beta1, beta2, eps, correction1, correction2);
}

export function adam_f64(
  w: usize,
  m: usize,
  v: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  beta1: f64,
  beta2: f64,
  eps: f64,
  correction1: f64,
  correction2: f64,
): void {
  adam<f64>(w, m, v, dw, n, learning_rate, beta1, beta2, eps, correction1, correction2);
}

export function adamw_f32(
  w: usize,
  m: usize,
  v: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  beta1: f64,
  beta2: f64,
  eps: f64,
  correction1: f64,
  correction2: f64,
  weight_decay: f64,
): void {
  adamw<f32>(
    w,
    m,
    v,
    dw,
    n,
    learning_rate,
    beta1,
    beta2,
    eps,
    correction1,
    correction2,
    weight_decay,
  );
}

export function adamw_f64(
  w: usize,
  m: usize,
  v: usize,
  dw: usize,
  n: usize,
  learning_rate: f64,
  beta1: f64,
  beta2: f64,
  eps: f64,
  correction1: f64,
  correction2: f64,
  weight_decay: f64,
): void {
  adamw<f64>(
    w,
    m,
    v,
    dw,
    n,
    learning_rate,
    beta1,
    beta2,
    eps,
    correction1,
    correction2,
    weight_decay,
  );
}

export function axpy_f32(n: usize, alpha: f64, x: usize, y: usize): void {
  axpy<f32>(n, alpha, x, y);
}

export function axpy_f64(n: usize, alpha: f64, x: usize, y: usize): void {
  axpy<f64>(n, alpha, x, y);
}

export function scal_f32(n: usize, alpha: f64, x: usize): void {
  scal<f32>(n, alpha, x);
}

export function scal_f64(n: usize, alpha: f64, x: usize): void {
  scal<f64>(n, alpha, x);
}

export function dot_f32(n: usize, x: usize, y: usize): f64 {
  return dot<f32>(n, x, y);
}

export function dot_f64(n: usize, x: usize, y: usize): f64 {
  return dot<f64>(n, x, y);
}

export function argmax_f32(out: usize, x: usize, N: usize, C: usize): void {
  argmax<f32>(out, x, N, C);
}

export function argmax_f64(out: usize, x: usize, N: usize, C: usize): void {
  argmax<f64>(out, x, N, C);
}

export function cos(x: f64): f64 {
  return cosine(x);
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

export function predict_work_bytes_f32(N: usize, D: usize, M: usize): usize {
  return predictWorkBytes<f32>(N, D, M);
}

export function predict_pack_f32(panels: usize, w: usize, D: usize, M: usize): void {
  predictPack<f32>(panels, w, D, M);
}

export function predict_f32(operations: usize, count: usize, N: usize): void {
  predict<f32>(operations, count, N);
}

export function predict_work_bytes_f64(N: usize, D: usize, M: usize): usize {
  return predictWorkBytes<f64>(N, D, M);
}

export function predict_pack_f64(panels: usize, w: usize, D: usize, M: usize): void {
  predictPack<f64>(panels, w, D, M);
}

export function predict_f64(operations: usize, count: usize, N: usize): void {
  predict<f64>(operations, count, N);
}
