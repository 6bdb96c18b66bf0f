// What must compile and what must not. Checked by tsc, never run: where a line compiles though it
// must not, tsc reports the comment above it as unused.

import relaxed from "../build/relaxed.js";
import {
  type AffineCache,
  adam,
  affineBackward,
  affineForward,
  affine as affineLayer,
  type BatchnormCache,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  bceWithLogitsLoss,
  type Cache,
  conv1dBackward,
  conv1dForward,
  conv2dBackward,
  conv2dForward,
  convTranspose2dBackward,
  convTranspose2dForward,
  createRuntime,
  createRuntimeSync,
  type DropoutCache,
  type DropoutParam,
  type DType,
  dropoutBackward,
  dropoutForward,
  type EpochEvent,
  type FitOptions,
  type FloatDType,
  geluBackward,
  geluForward,
  type History,
  type Labels,
  leakyReluForward,
  type MemoryError,
  mseLoss,
  normalizeForward,
  numericalGradient,
  type Random,
  type ReluCache,
  type Runtime,
  type RuntimeOptions,
  recalibrate,
  relativeError,
  reluBackward,
  reluForward,
  relu as reluLayer,
  Sequential,
  type ShapeError,
  type SigmoidCache,
  sigmoidBackward,
  sigmoidForward,
  softmaxForward,
  softmaxLoss,
  svmLoss,
  type Tensor,
  Trainer,
  type Training,
  type TrainingEvent,
  tanhBackward,
  tanhForward,
  type WasmVariant,
} from "../src/index.ts";

/** True where A and B are one type, so that neither is `any` or wider. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles where the value's type is exactly this one. */
function is<Expected>() {
  return <const Actual>(_: Actual, _same: Same<Actual, Expected>): void => {};
}

declare const runtime: Runtime;
declare const f32: Tensor<"float32">;
declare const f64: Tensor<"float64">;
declare const i32: Tensor<"int32">;
declare const float: Tensor<FloatDType>;
declare const anyTensor: Tensor;
declare const condition: boolean;

export async function runtimes(): Promise<void> {
  is<Runtime>()(await createRuntime(), true);
  is<Runtime>()(createRuntimeSync(), true);
  createRuntimeSync({ seed: 1, initialMemory: 65536, maxMemory: 65536, wasm: new Uint8Array() });
  createRuntime({ threads: "auto", wasm: [new URL("x:y"), "y", new Response()], seed: undefined });
  createRuntime({ wasm: new WebAssembly.Module(new Uint8Array()) });
  createRuntime({ wasm: [relaxed, new Uint8Array()] });
  createRuntimeSync({ wasm: relaxed });
  is<WasmVariant>()(relaxed, true);
  const options: RuntimeOptions = { threads: 1 };
  // @ts-expect-error: the synchronous one has no threads
  createRuntimeSync({ threads: 1 });
  // @ts-expect-error: no such word
  createRuntime({ threads: "many" });
  // @ts-expect-error: no such option
  createRuntime({ memory: 1 });
  is<"strict" | "relaxed">()(runtime.variant, true);
  // @ts-expect-error: figures are read
  runtime.memory.bytesLive = 1;
  // @ts-expect-error: and so is the variant
  runtime.variant = "strict";
  using own = createRuntimeSync();
  own.dispose();
  void options;
}

export function tensors(): void {
  // Of the typed array where it has one of the dtypes, else float32.
  is<Tensor<"float32">>()(runtime.tensor(new Float32Array(1)), true);
  is<Tensor<"float64">>()(runtime.tensor(new Float64Array(1), [1]), true);
  is<Tensor<"int32">>()(runtime.tensor(new Int32Array(1)), true);
  is<Tensor<"float32">>()(runtime.tensor(new Uint8Array(1)), true);
  is<Tensor<"float32">>()(runtime.tensor(new Int8Array(1)), true);
  is<Tensor<"float32">>()(runtime.tensor(new Uint32Array(1)), true);
  is<Tensor<"float32">>()(runtime.tensor([1, 2]), true);
  is<Tensor<"float32">>()(runtime.tensor([[1], [2]], [2]), true);
  is<Tensor<"float32">>()(runtime.tensor([[[1]], [[2]]] as const), true);
  is<Tensor<"float32" | "float64">>()(
    runtime.tensor(f32.data as typeof f32.data | typeof f64.data),
    true,
  );
  // Of what is named.
  is<Tensor<"float64">>()(runtime.tensor([1], [1], "float64"), true);
  is<Tensor<"int32">>()(runtime.tensor(new Float32Array(1), undefined, "int32"), true);
  is<Tensor<FloatDType>>()(runtime.tensor([1], [1], "float64" as FloatDType), true);
  // @ts-expect-error: no such dtype
  runtime.tensor([1], [1], "float16");
  // @ts-expect-error: no numbers
  runtime.tensor(["1"]);
  // @ts-expect-error: big integers
  runtime.tensor(new BigInt64Array(1));
  is<Tensor<"float32">>()(runtime.tensor(f32), true);
  is<Tensor<"float32">>()(runtime.tensor(f64, [1], "float32"), true);
  // @ts-expect-error: a number is no data
  runtime.tensor(1);
  // @ts-expect-error: a shape is a list
  runtime.tensor([1], 1);

  is<Tensor<"float32">>()(runtime.zeros([1]), true);
  is<Tensor<"int32">>()(runtime.ones([1], "int32"), true);
  is<Tensor<"float64">>()(runtime.full([1], 1, "float64"), true);
  // @ts-expect-error: full needs a value
  runtime.full([1]);
  // @ts-expect-error: of a number's type
  runtime.full([1], "1");

  is<Float32Array<ArrayBuffer>>()(f32.data, true);
  is<Float64Array<ArrayBuffer>>()(f64.toTypedArray(), true);
  is<Int32Array<ArrayBuffer>>()(i32.data, true);
  is<number>()(f32.item(), true);
  is<Tensor<"float64">>()(f64.reshape([1, -1] as const), true);
  is<readonly number[]>()(f32.shape, true);
  is<DType>()(anyTensor.dtype, true);
  is<"float32">()(f32.dtype, true);
  const wide: Tensor = i32;
  // @ts-expect-error: a tensor of one dtype is none of another
  const other: Tensor<"float64"> = f32;
  // @ts-expect-error: the shape is fixed
  f32.shape[0] = 1;
  // @ts-expect-error: the data is written into, not exchanged
  f32.data = new Float32Array(1);
  using own = f32.reshape([1]);
  void [wide, other, own];
}

export function scopes(): void {
  is<number>()(
    runtime.scope(() => 1),
    true,
  );
  is<Tensor<"float32">>()(
    runtime.scope(() => f32),
    true,
  );
  const { out, cache } = runtime.scope(() => reluForward(f64));
  is<Tensor<"float64">>()(out, true);
  is<ReluCache<"float64">>()(cache, true);
  const any: Cache = cache;
  any.dispose();
}

export function randoms(): void {
  const random: Random = runtime.random(1);
  is<Tensor<"float64">>()(random.rand(2, 3), true);
  is<Tensor<"float64">>()(random.randn([2, 3]), true);
  is<Tensor<"float64">>()(random.rand(), true);
  is<Tensor<"int32">>()(random.randint(5), true);
  is<Tensor<"int32">>()(random.randint(5, null, [2]), true);
  is<Tensor<"int32">>()(random.randint(1, 5, 3), true);
  is<Tensor<"int32">>()(random.permutation(3), true);
  // @ts-expect-error: an array and further lengths
  random.rand([2], 3);
  // @ts-expect-error: a generator has a seed
  runtime.random();
}

export function affine(): void {
  const { out, cache } = affineForward(f32, f32, f32);
  is<Tensor<"float32">>()(out, true);
  is<AffineCache<"float32">>()(cache, true);
  affineForward(f64, f64, f64, { out: f64 });
  affineForward(float, float, float, { out: undefined });
  is<AffineCache<"float32">>()(affineForward(f32, f32, f32, { activation: "relu" }).cache, true);
  affineForward(f32, f32, f32, { activation: undefined });
  // @ts-expect-error: no such activation
  affineForward(f32, f32, f32, { activation: "softmax" });
  // @ts-expect-error: a float64 weight with a float32 input
  affineForward(f32, f64, f32);
  // @ts-expect-error: a float32 weight with a float64 input
  affineForward(f64, f32, f64);
  // @ts-expect-error: a bias of another dtype
  affineForward(f32, f32, f64);
  // @ts-expect-error: a destination of another dtype
  affineForward(f32, f32, f32, { out: f64 });
  // @ts-expect-error: whole numbers
  affineForward(i32, i32, i32);
  // @ts-expect-error: a tensor of whatever dtype
  affineForward(anyTensor, anyTensor, anyTensor);
  // @ts-expect-error: no bias
  affineForward(f32, f32);
  // @ts-expect-error: an array
  affineForward([[1]], f32, f32);
  // @ts-expect-error: no such option
  affineForward(f32, f32, f32, { dx: f32 });

  const all = affineBackward(f32, cache);
  is<Tensor<"float32">>()(all.dx, true);
  is<Tensor<"float32">>()(all.dw, true);
  is<Tensor<"float32">>()(all.db, true);
  is<Tensor<"float32">>()(affineBackward(f32, cache, {}).dx, true);
  const some = affineBackward(f32, cache, { dx: false, dw: f32 });
  is<undefined>()(some.dx, true);
  is<Tensor<"float32">>()(some.dw, true);
  is<Tensor<"float32">>()(some.db, true);
  const perhaps = affineBackward(f32, cache, { dx: condition ? f32 : false });
  is<Tensor<"float32"> | undefined>()(perhaps.dx, true);
  // @ts-expect-error: what was left out has no data
  some.dx.data;
  // @ts-expect-error: true is no destination
  affineBackward(f32, cache, { dx: true });
  // @ts-expect-error: a destination of another dtype
  affineBackward(f32, cache, { dw: f64 });
  // @ts-expect-error: a gradient of another dtype
  affineBackward(f64, cache);
  // @ts-expect-error: the cache of another dtype
  affineBackward(f32, affineForward(f64, f64, f64).cache);
  // @ts-expect-error: the cache's operands are the forward's
  cache.x = f32;
}

export function convolution(): void {
  const { out, cache } = conv2dForward(f32, f32, f32);
  is<Tensor<"float32">>()(out, true);
  is<Tensor<"float32">>()(cache.b, true);
  conv2dForward(f64, f64, null, { stride: [1, 2], padding: "same", layout: "NHWC" }, { out: f64 });
  conv1dForward(f32, f32, f32, { padding: { left: 1, right: 0 }, groups: 2, layout: "NLC" });
  convTranspose2dForward(f32, f32, f32, { outputPadding: 1, stride: 2 });
  // @ts-expect-error: a bias that is neither there nor null
  conv2dForward(f32, f32);
  // @ts-expect-error: a float64 filter with a float32 input
  conv2dForward(f32, f64, null);
  // @ts-expect-error: a bias of another dtype
  conv2dForward(f32, f32, f64);
  // @ts-expect-error: sizes of a sequence are numbers
  conv1dForward(f32, f32, f32, { stride: [1, 2] });
  // @ts-expect-error: no transposed convolution
  conv2dForward(f32, f32, f32, { outputPadding: 1 });

  const all = conv2dBackward(f32, cache);
  is<Tensor<"float32">>()(all.dx, true);
  is<Tensor<"float32">>()(all.dw, true);
  is<Tensor<"float32">>()(all.db, true);
  const some = convTranspose2dBackward(f32, cache, { dx: false, dw: f32 });
  is<undefined>()(some.dx, true);
  is<Tensor<"float32">>()(some.dw, true);
  const bare = conv1dBackward(f32, conv1dForward(f32, f32, null).cache);
  is<undefined>()(bare.db, true);
  const perhaps = conv2dForward(f32, f32, condition ? f32 : null);
  is<Tensor<"float32"> | undefined>()(conv2dBackward(f32, perhaps.cache).db, true);
  // @ts-expect-error: a gradient of another dtype
  conv2dBackward(f64, cache);
}

export function caches(): void {
  const affine = affineForward(f32, f32, f32).cache;
  const relu = reluForward(f32).cache;
  const batchnorm = batchnormForward(f32, f32, f32, { mode: "train" }).cache;
  const dropout = dropoutForward(f32, { p: 0.5, mode: "train" }).cache;
  affineBackward(f32, affine);
  reluBackward(f32, relu);
  batchnormBackward(f32, batchnorm);
  dropoutBackward(f32, dropout);
  // @ts-expect-error: the cache of another layer
  affineBackward(f32, relu);
  // @ts-expect-error: the cache of another layer
  affineBackward(f32, batchnorm);
  // @ts-expect-error: the cache of another layer
  affineBackward(f32, dropout);
  // @ts-expect-error: the cache of another layer
  reluBackward(f32, dropout);
  // @ts-expect-error: the cache of another layer
  batchnormBackward(f32, affine);
  // @ts-expect-error: the cache of another layer
  batchnormBackward(f32, relu);
  // @ts-expect-error: the cache of another layer
  batchnormBackward(f32, dropout);
  // @ts-expect-error: the cache of another layer
  dropoutBackward(f32, affine);
  // @ts-expect-error: the cache of another layer
  dropoutBackward(f32, relu);
  // @ts-expect-error: the cache of another layer
  dropoutBackward(f32, batchnorm);
  // @ts-expect-error: no cache
  reluBackward(f32, { x: f32, dispose() {} });
}

export function elementwise(): void {
  is<Tensor<"float64">>()(reluForward(f64, { out: f64 }).out, true);
  is<Tensor<"float64">>()(reluBackward(f64, reluForward(f64).cache, { dx: f64 }), true);
  // @ts-expect-error: whole numbers
  reluForward(i32);
  // @ts-expect-error: a result that is the only one cannot be left out
  reluBackward(f64, reluForward(f64).cache, { dx: false });
  // @ts-expect-error: a destination of another dtype
  reluForward(f32, { out: f64 });
  // @ts-expect-error: a gradient of another dtype
  reluBackward(f32, reluForward(f64).cache);

  is<SigmoidCache<"float32">>()(sigmoidForward(f32).cache, true);
  is<Tensor<"float64">>()(tanhBackward(f64, tanhForward(f64).cache), true);
  is<Tensor<"float32">>()(leakyReluForward(f32, { negativeSlope: 0.1, out: f32 }).out, true);
  is<Tensor<"float32">>()(geluBackward(f32, geluForward(f32).cache, { dx: f32 }), true);
  is<Tensor<FloatDType>>()(softmaxForward(float).out, true);
  is<Tensor<"float64">>()(normalizeForward(f64, f64, f64).out, true);
  // @ts-expect-error: a mean of another dtype
  normalizeForward(f64, f32, f64);
  // @ts-expect-error: the layer's own cache, which holds x and not out
  sigmoidBackward(f32, reluForward(f32).cache);
  // @ts-expect-error: no such option
  sigmoidForward(f32, { negativeSlope: 0.1 });

  const param: DropoutParam = { p: 0.5, mode: "train", seed: 1 };
  const { out, cache } = dropoutForward(f32, param);
  is<Tensor<"float32">>()(out, true);
  is<DropoutCache<"float32">>()(cache, true);
  is<Tensor<"float32"> | null>()(cache.mask, true);
  is<Tensor<"float32">>()(dropoutBackward(f32, cache), true);
  // @ts-expect-error: mode is required
  dropoutForward(f32, { p: 0.5 });
  // @ts-expect-error: p is required
  dropoutForward(f32, { mode: "train" });
  // @ts-expect-error: no such mode
  dropoutForward(f32, { p: 0.5, mode: "eval" });
  // @ts-expect-error: the cache's parameters are the forward's
  cache.dropoutParam.p = 1;
}

export function batchnorm(): void {
  const bnParam: BatchnormParam<"float32"> = { mode: "train", eps: 1e-5, momentum: 0.9 };
  const { out, cache } = batchnormForward(f32, f32, f32, bnParam);
  is<Tensor<"float32">>()(out, true);
  is<BatchnormCache<"float32">>()(cache, true);
  is<Tensor<"float32"> | undefined>()(bnParam.runningMean, true);
  batchnormForward(f32, f32, f32, { ...bnParam, mode: "test" });
  // @ts-expect-error: mode is required
  batchnormForward(f32, f32, f32, {});
  // @ts-expect-error: no such mode
  batchnormForward(f32, f32, f32, { mode: "eval" });
  // @ts-expect-error: running values of another dtype
  batchnormForward(f64, f64, f64, bnParam);
  // @ts-expect-error: running values of another dtype
  batchnormForward(f32, f32, f32, { mode: "train", runningMean: f64 });
  // @ts-expect-error: a float64 gamma with a float32 input
  batchnormForward(f32, f64, f32, bnParam);

  const some = batchnormBackward(f32, cache, { dgamma: false, dx: f32 });
  is<Tensor<"float32">>()(some.dx, true);
  is<undefined>()(some.dgamma, true);
  is<Tensor<"float32">>()(some.dbeta, true);
  // @ts-expect-error: what was left out has no data
  some.dgamma.data;

  recalibrate([f32, f32], bnParam);
  recalibrate(new Set([f32]), bnParam);
  // @ts-expect-error: one tensor is no list of them
  recalibrate(f32, bnParam);
  // @ts-expect-error: batches of another dtype
  recalibrate([f64], bnParam);
}

export function losses(): void {
  is<Tensor<"float32">>()(bceWithLogitsLoss(f32, f32).dx, true);
  is<undefined>()(mseLoss(f64, f64, { dx: false }).dx, true);
  // @ts-expect-error: targets of another dtype
  mseLoss(f64, f32);
  // @ts-expect-error: labels are for softmaxLoss and svmLoss
  bceWithLogitsLoss(f32, [0, 1]);
  const labels: Labels[] = [[0, 1], new Int32Array(2), new Uint8Array(2), i32, [0, 1] as const];
  for (const loss of [softmaxLoss, svmLoss]) {
    for (const y of labels) is<number>()(loss(f32, y).loss, true);
    is<Tensor<"float64">>()(loss(f64, [0]).dx, true);
    is<Tensor<"float32">>()(loss(f32, [0], { dx: f32 }).dx, true);
    is<undefined>()(loss(f32, [0], { dx: false }).dx, true);
    is<undefined>()(loss(f32, [0], { dx: false, classWeights: [1, 2] }).dx, true);
    is<Tensor<"float32">>()(loss(f32, [0], { classWeights: Float32Array.of(1, 2) }).dx, true);
    // @ts-expect-error: class weights are in the classes' order
    loss(f32, [0], { classWeights: { 0: 1, 1: 2 } });
    // @ts-expect-error: labels are whole numbers
    loss(f32, f32);
    // @ts-expect-error: labels are whole numbers
    loss(f32, new Float32Array(2));
    is<number>()(loss(f32, [[0, 1]]).loss, true);
    is<number>()(loss(f32, [new Uint8Array(2)]).loss, true);
    // @ts-expect-error: scores are no whole numbers
    loss(i32, [0]);
    // @ts-expect-error: a destination of another dtype
    loss(f32, [0], { dx: f64 });
    // @ts-expect-error: what was left out has no data
    loss(f32, [0], { dx: false }).dx.data;
  }
}

export async function networks(runtime: Runtime): Promise<void> {
  const options = { input: [2], layers: [affineLayer(3), reluLayer()] };
  const model = new Sequential(runtime, options);
  const wide = new Sequential(runtime, { ...options, dtype: "float64" });
  is<Tensor<"float32">>()(model.predict([1, 2]), true);
  is<Tensor<"float64">>()(wide.forward(f32, { mode: "train" }), true);
  is<undefined>()(wide.backward(f64, {}).dx, true);
  is<Tensor<"float64">>()(wide.backward(f64, { dx: true }).dx, true);
  // @ts-expect-error: a gradient of another dtype
  wide.backward(f32);
  // @ts-expect-error: models have floating dtypes
  new Sequential(runtime, { ...options, dtype: "int32" });
  // @ts-expect-error: a layer must be called
  new Sequential(runtime, { input: [2], layers: [reluLayer] });
  // @ts-expect-error: no such loss
  new Trainer(model, { loss: "hinge", optimizer: adam() });
  // @ts-expect-error: an unknown setting
  adam({ rate: 1 });
  const trainer = new Trainer(wide, { loss: "svm", optimizer: adam() });
  const { signal } = new AbortController();
  for await (const event of trainer.fit({ x: f64, y: [0] }, { epochs: 1, signal })) {
    if (event.type === "step") is<number>()(event.step, true);
    else is<boolean>()(event.stopped, true);
  }
}

export function checking(): void {
  is<Tensor<"float64">>()(
    numericalGradient((x) => reluForward(x).out, f64),
    true,
  );
  is<Tensor<"float64">>()(
    numericalGradient((x) => x.item(), f64, f64, 1e-6),
    true,
  );
  numericalGradient((x) => is<Tensor<"float64">>()(x, true) ?? 1, f64);
  // @ts-expect-error: f gives nothing
  numericalGradient(() => {}, f64);
  // @ts-expect-error: f gives a promise
  numericalGradient(async () => 1, f64);
  // @ts-expect-error: a dout of another dtype
  numericalGradient((x) => x, f64, f32);
  is<number>()(relativeError(f32, [1]), true);
  relativeError(new Float64Array(1), 1);
  // @ts-expect-error: no numbers
  relativeError(["1"], [1]);
}

export function errors(shape: ShapeError, memory: MemoryError): void {
  const range: RangeError = shape;
  is<number>()(memory.bytesRequested, true);
  is<number>()(memory.bytesLive, true);
  void range;
}

export async function fits(trainer: Trainer): Promise<void> {
  const data = { x: [[1, 2]], y: [0] };
  const options: FitOptions = {
    ...{ epochs: 1, lastBatch: "spread", stopOnNaN: false },
    earlyStopping: { patience: 1, restoreBest: true },
  };
  const fit = trainer.fit(data, options);
  is<Training>()(fit, true);
  for await (const event of fit) is<TrainingEvent>()(event, true);
  const history = await trainer.fit(data, options);
  is<History>()(history, true);
  is<EpochEvent | undefined>()(history[0], true);
  is<EpochEvent | undefined>()(history.best, true);
  is<number[]>()(
    history.map(({ loss }) => loss),
    true,
  );
  // @ts-expect-error: there is no such mode
  trainer.fit(data, { epochs: 1, lastBatch: "pad" });
  // @ts-expect-error: it is called batchSize
  trainer.fit(data, { epochs: 1, batch_size: 8 });
  // @ts-expect-error: an activation is a layer of its own
  affine(4, { activation: "relu" });
}
