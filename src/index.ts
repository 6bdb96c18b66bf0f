export {
  type AffineCache,
  affineBackward,
  affineForward,
} from "./layers/affine.ts";
export {
  type BatchnormCache,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  recalibrate,
} from "./layers/batchnorm.ts";
export {
  type DropoutCache,
  type DropoutParam,
  dropoutBackward,
  dropoutForward,
} from "./layers/dropout.ts";
export { type GeluCache, geluBackward, geluForward } from "./layers/gelu.ts";
export { type LeakyReluCache, leakyReluBackward, leakyReluForward } from "./layers/leaky_relu.ts";
export { type NormalizeCache, normalizeBackward, normalizeForward } from "./layers/normalize.ts";
export { type ReluCache, reluBackward, reluForward } from "./layers/relu.ts";
export { type SigmoidCache, sigmoidBackward, sigmoidForward } from "./layers/sigmoid.ts";
export { type SoftmaxCache, softmaxBackward, softmaxForward } from "./layers/softmax.ts";
export { type TanhCache, tanhBackward, tanhForward } from "./layers/tanh.ts";
export { bceWithLogitsLoss } from "./losses/bce.ts";
export type { LossResult } from "./losses/loss.ts";
export { mseLoss } from "./losses/mse.ts";
export { softmaxLoss } from "./losses/softmax.ts";
export { svmLoss } from "./losses/svm.ts";
export {
  AliasError,
  DisposedError,
  DTypeError,
  MemoryError,
  RuntimeMismatchError,
  ShapeError,
} from "./runtime/errors.ts";
export type { WasmSource } from "./runtime/wasm.ts";
export type { Cache } from "./tensor/cache.ts";
export type { NestedArray, NumberArray } from "./tensor/convert.ts";
export type { DType, FloatDType, TypedArrayOf } from "./tensor/dtype.ts";
export { numericalGradient, relativeError } from "./tensor/gradcheck.ts";
export type { Labels } from "./tensor/operands.ts";
export type { Random, ShapeArguments } from "./tensor/random.ts";
export {
  createRuntime,
  createRuntimeSync,
  type MemoryFigures,
  type Runtime,
  type RuntimeOptions,
} from "./tensor/runtime.ts";
export type { Tensor } from "./tensor/tensor.ts";
