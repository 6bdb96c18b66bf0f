/**
 * All of it: runtimes and tensors, layers and losses, models, trainings and files.
 *
 * @module lamella
 */

export * from "../build/layer_names.ts";
export { loadModel, type SaveModelOptions, saveModel } from "./io/model.ts";
export {
  readSafetensors,
  type SafetensorsData,
  type SafetensorsDType,
  type SafetensorsEntry,
  type SafetensorsFile,
  writeSafetensors,
} from "./io/safetensors.ts";
export { decodeScores, encodeRow } from "./io/table.ts";
export type { TableCell } from "./io/table_map.ts";
export { type LoadTorchOptions, loadTorch } from "./io/torch.ts";
export {
  type AffineCache,
  affineBackward,
  affineForward,
} from "./layers/affine.ts";
export {
  type AttentionCache,
  type AttentionParam,
  attentionBackward,
  attentionForward,
} from "./layers/attention.ts";
export {
  type BatchnormCache,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  recalibrate,
} from "./layers/batchnorm.ts";
export {
  type AddCache,
  addBackward,
  addForward,
  type MultiplyCache,
  multiplyBackward,
  multiplyForward,
} from "./layers/broadcast.ts";
export { type ConcatCache, concatBackward, concatForward } from "./layers/concat.ts";
export {
  type Conv1dParam,
  type ConvCache,
  type ConvParam,
  type ConvTranspose2dParam,
  conv1dBackward,
  conv1dForward,
  conv2dBackward,
  conv2dForward,
  convTranspose2dBackward,
  convTranspose2dForward,
} from "./layers/conv.ts";
export {
  type DropoutCache,
  type DropoutParam,
  dropoutBackward,
  dropoutForward,
} from "./layers/dropout.ts";
export { type EmbeddingCache, embeddingBackward, embeddingForward } from "./layers/embedding.ts";
export {
  type GlobalAvgPoolCache,
  globalAvgPoolBackward,
  globalAvgPoolForward,
} from "./layers/global_average_pool.ts";
export { type GroupnormParam, groupnormBackward, groupnormForward } from "./layers/groupnorm.ts";
export { type GruCache, gruBackward, gruForward } from "./layers/gru.ts";
export type { ImageLayout, SequenceLayout } from "./layers/images.ts";
export { layernormBackward, layernormForward } from "./layers/layernorm.ts";
export { type LstmCache, lstmBackward, lstmForward } from "./layers/lstm.ts";
export type { NormCache } from "./layers/norm.ts";
export { type NormalizeCache, normalizeBackward, normalizeForward } from "./layers/normalize.ts";
export { type PermuteCache, permuteBackward, permuteForward } from "./layers/permute.ts";
export {
  type AvgPool1dParam,
  type AvgPool2dParam,
  avgPool1dBackward,
  avgPool1dForward,
  avgPool2dBackward,
  avgPool2dForward,
  type MaxPool1dParam,
  type MaxPool2dParam,
  maxPool1dBackward,
  maxPool1dForward,
  maxPool2dBackward,
  maxPool2dForward,
  type PoolCache,
} from "./layers/pool.ts";
export { type PreluCache, preluBackward, preluForward } from "./layers/prelu.ts";
export type { Lengths, RecurrentCache, RecurrentOptions } from "./layers/recurrent.ts";
export { rnnBackward, rnnForward } from "./layers/rnn.ts";
export {
  type Upsample2dCache,
  type Upsample2dParam,
  upsample2dBackward,
  upsample2dForward,
} from "./layers/upsample.ts";
export { type ZeroPad2dCache, zeroPad2dBackward, zeroPad2dForward } from "./layers/zero_pad.ts";
export { bceWithLogitsLoss } from "./losses/bce.ts";
export type { LabelLossOptions, LossResult } from "./losses/loss.ts";
export { mseLoss } from "./losses/mse.ts";
export { softmaxLoss } from "./losses/softmax.ts";
export { svmLoss } from "./losses/svm.ts";
export type { ClassWeights } from "./losses/weights.ts";
export {
  constant,
  heNormal,
  heUniform,
  type Initializer,
  normal,
  ones,
  uniform,
  xavierNormal,
  xavierUniform,
  zeros,
} from "./nn/initializers.ts";
export type { ActivationSpec, LayerSpec } from "./nn/layers/all.ts";
export {
  apply,
  type GraphNode,
  input,
  Model,
  type ModelInputs,
  type ModelOptions,
  type ModelTensors,
  type NamedLayer,
} from "./nn/model.ts";
export type { LossName } from "./nn/names.ts";
export type {
  AnyModel,
  GivenModel,
  NetworkModel,
  NetworkOptions,
  Parameter,
} from "./nn/network_model.ts";
export type { Predictor } from "./nn/predictor.ts";
export { Sequential, type SequentialOptions } from "./nn/sequential.ts";
export type { Batch, Batches, LastBatch, TrainingData } from "./nn/training/batches.ts";
export type { EvaluateOptions, Evaluation } from "./nn/training/evaluate.ts";
export type {
  EpochEvent,
  History,
  StepEvent,
  Training,
  TrainingEvent,
} from "./nn/training/events.ts";
export type { FitOptions, StopSignal } from "./nn/training/fit_options.ts";
export {
  adam,
  adamw,
  momentum,
  nesterov,
  type Optimizer,
  rmsprop,
  sgd,
} from "./nn/training/optimizers.ts";
export type { TrainerOptions } from "./nn/training/options.ts";
export {
  cosine,
  type LearningRate,
  linear,
  type Schedule,
  step,
  warmup,
} from "./nn/training/schedules.ts";
export {
  AliasError,
  DisposedError,
  DTypeError,
  FormatError,
  MemoryError,
  RuntimeMismatchError,
  ShapeError,
  UnsupportedError,
  WorkerError,
} from "./runtime/errors.ts";
export type { WasmSource, WasmVariant } from "./runtime/wasm.ts";
export type { Cache } from "./tensor/cache.ts";
export type { NestedArray, NumberArray } from "./tensor/convert.ts";
export type { DType, FloatDType, TypedArrayOf } from "./tensor/dtype.ts";
export { numericalGradient, relativeError } from "./tensor/gradcheck.ts";
export { type ImageDataOptions, imageData, type Pixels } from "./tensor/image_data.ts";
export type { Labels } from "./tensor/labels.ts";
export type { Random, ShapeArguments } from "./tensor/random.ts";
export type { Examples } from "./tensor/rows.ts";
export {
  createRuntime,
  createRuntimeSync,
  type MemoryFigures,
  type Runtime,
  type RuntimeOptions,
} from "./tensor/runtime.ts";
export type { Tensor } from "./tensor/tensor.ts";
export type { Padding, Padding1d, Size } from "./tensor/window.ts";
export { Trainer } from "./trainer.ts";
