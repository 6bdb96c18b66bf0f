import { ShapeError, show, textOf } from "../runtime/errors.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkRange, positive, weight } from "../tensor/numbers.ts";
import {
  checkAliases,
  checkObject,
  checkTensorShape,
  destination,
  floatOperand,
  type Named,
  operandLike,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape, sizeOf } from "../tensor/shape.ts";
import type { Tensor, TensorHandle, TensorRuntime } from "../tensor/tensor.ts";
import { type Channels, channelsLast, readAxis, scratchBytes } from "./axes.ts";
import { type Gradient, type NormCache, type NormSaved, NormState, normBackward } from "./norm.ts";

const FORWARD = ["out"];
const PARAM = ["mode", "eps", "momentum", "runningMean", "runningVar", "axis"];

/** The parameters of batch normalisation that are not learned, and its running values. */
export interface BatchnormParam<D extends FloatDType = FloatDType> {
  /** "train" normalises by the batch and moves the running values; "test" normalises by them. */
  mode: "train" | "test";
  /** Added to the variance, above 0; default 1e-5. */
  eps?: number | undefined;
  /**
   * The weight of the OLD running value, in [0, 1]; default 0.9. PyTorch's momentum is the weight
   * of the new one: 1 − this.
   */
  momentum?: number | undefined;
  /**
   * (D,), updated in place by training; made, all 0, where it is absent. It outlives the scope that
   * made it.
   */
  runningMean?: Tensor<D> | undefined;
  /** (D,), of the biased variance (1/N), otherwise as runningMean. */
  runningVar?: Tensor<D> | undefined;
  /** Where the channels are, from the end if it is below 0; default 1, as (N, C, H, W) has them. */
  axis?: number | undefined;
}

/**
 * What batchnormForward leaves for batchnormBackward: its operands, by reference, and the
 * statistics it used.
 */
export interface BatchnormCache<D extends FloatDType = FloatDType> extends NormCache<D> {
  readonly mode: "train" | "test";
}

interface BatchnormSaved<D extends FloatDType> extends NormSaved<D> {
  readonly mode: "train" | "test";
  readonly axis: number;
}

class BatchnormState<D extends FloatDType>
  extends NormState<D, BatchnormSaved<D>>
  implements BatchnormCache<D>
{
  get mode(): "train" | "test" {
    return this.saved.mode;
  }
}

/** x as (N, C, S), C its axis of channels. */
function channelsOf({ shape }: TensorHandle, axis: number): Omit<Channels, "address"> {
  return {
    N: sizeOf(shape.slice(0, axis)),
    C: shape[axis] as number,
    S: sizeOf(shape, axis + 1),
  };
}

/** The axis of the channels of an operand, which has two or more. */
function axisOf(operation: string, name: string, { shape }: TensorHandle, axis: unknown): number {
  if (shape.length < 2) {
    throw new ShapeError(
      `${operation}: ${name} must have shape (N, C, …), got ${formatShape(shape)}`,
    );
  }
  return readAxis(operation, "bnParam.axis", axis, name, shape);
}

/** The running values that a bnParam has, checked against the layer's input. */
function runningOperands<D extends FloatDType>(
  operation: string,
  bnParam: BatchnormParam<D>,
  { runningMean, runningVar }: Pick<BatchnormParam<D>, "runningMean" | "runningVar">,
  name: string,
  x: TensorHandle<D>,
  C: number,
): { mean: TensorHandle<D> | undefined; variance: TensorHandle<D> | undefined } {
  const shape = [C];
  const check = (key: string, value: Tensor<D> | undefined | null) =>
    destination(operation, `bnParam.${key}`, value ?? undefined, shape, name, x);
  const mean = check("runningMean", runningMean);
  const variance = check("runningVar", runningVar);
  if (!mean) checkWritable(operation, bnParam, "runningMean");
  if (!variance) checkWritable(operation, bnParam, "runningVar");
  return { mean, variance };
}

/** Refuses a bnParam that cannot take a value, frozen for example, before there is one. */
function checkWritable(operation: string, bnParam: object, key: string): void {
  const own = Object.getOwnPropertyDescriptor(bnParam, key);
  if (own ? own.writable || own.set : Object.isExtensible(bnParam)) return;
  throw new TypeError(
    `${operation}: bnParam must be an object that can be written to, as ${key} is made in it`,
  );
}

/** Takes tensors out of their scopes and puts them into bnParam where it had none. */
function storeRunning<D extends FloatDType>(
  bnParam: BatchnormParam<D>,
  running: { mean: TensorHandle<D> | undefined; variance: TensorHandle<D> | undefined },
  mean: TensorHandle<D>,
  variance: TensorHandle<D>,
): void {
  for (const [name, tensor, given] of [
    ["runningMean", mean, running.mean],
    ["runningVar", variance, running.variance],
  ] as const) {
    if (given) continue;
    tensor.detach();
    tensor.leaveScopes();
    bnParam[name] = tensor;
  }
}

function zeros<D extends FloatDType>(runtime: TensorRuntime, dtype: D, D: number): TensorHandle<D> {
  const tensor = runtime.create(dtype, Object.freeze([D]));
  tensor.data.fill(0);
  return tensor;
}

/**
 * Batch normalisation of each column over the rows of x, and of each channel of an image over all
 * other axes.
 *
 * x (N, D), gamma (D,), beta (D,) → out (N, D) = gamma · xNorm + beta; x (N, C, …), gamma (C,),
 * beta (C,) → out (N, C, …), or with bnParam.axis any other axis of channels, of which the last is
 * the quickest. Training: xNorm = (x − mu) / sqrt(var + eps) with the batch's mean and biased
 * variance (1/N), and then running = momentum · running + (1 − momentum) · batch for both. Test:
 * xNorm = (x − runningMean) / sqrt(runningVar + eps), and the running values stay. The statistics
 * are float64 whatever the dtype. Over a single value in training, out is beta and the running
 * values stay.
 *
 * Ioffe and Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.
 *
 * @param bnParam mode is required; runningMean and runningVar are stored back into it
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws RangeError for a mode, eps or momentum out of range, and for an empty batch in training;
 *   ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for what is no tensor
 */
export function batchnormForward<D extends FloatDType>(
  x: Tensor<D>,
  gamma: Tensor<NoInfer<D>>,
  beta: Tensor<NoInfer<D>>,
  bnParam: BatchnormParam<NoInfer<D>>,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: BatchnormCache<D> } {
  const operation = "batchnormForward";
  checkKeys(operation, "options", options, FORWARD);
  checkObject(operation, "bnParam", bnParam);
  checkKeys(operation, "bnParam", bnParam, PARAM);
  // Once, and before the operands are looked at.
  const { out: wanted } = options;
  const {
    mode,
    eps = 1e-5,
    momentum = 0.9,
    runningMean,
    runningVar,
    axis: wantedAxis = 1,
  } = bnParam;
  const xs = floatOperand(operation, "x", x);
  const gammas = operandLike(operation, "gamma", gamma, "x", xs);
  const betas = operandLike(operation, "beta", beta, "x", xs);
  const axis = axisOf(operation, "x", xs, wantedAxis);
  const channels = channelsOf(xs, axis);
  const { N, C, S } = channels;
  checkTensorShape(operation, "gamma", gammas, [C]);
  checkTensorShape(operation, "beta", betas, [C]);
  if (mode !== "train" && mode !== "test") {
    throw new RangeError(`Invalid forward batchnorm mode "${textOf(mode)}"`);
  }
  checkRange(operation, "eps", positive, eps);
  checkRange(operation, "momentum", weight, momentum);
  const running = runningOperands(operation, bnParam, { runningMean, runningVar }, "x", xs, C);
  const given = destination(operation, "out", wanted, xs.shape, "x", xs);
  const operands: Named[] = [
    ["x", xs],
    ["gamma", gammas],
    ["beta", betas],
  ];
  const updated: Named[] = [
    ["bnParam.runningMean", running.mean],
    ["bnParam.runningVar", running.variance],
  ];
  if (mode === "train") checkAliases(operation, [["out", given], ...updated], operands);
  else checkAliases(operation, [["out", given]], [...operands, ...updated]);
  if (mode === "train" && N * S === 0) {
    throw new RangeError(
      xs.shape.length === 2
        ? `${operation}: x has no rows (N = 0), and training takes a mean over them`
        : `${operation}: x has shape ${formatShape(xs.shape)}, in which no channel has a value to take a mean over`,
    );
  }

  const { runtime, dtype } = xs;
  return runtime.withWorkspace(runtime.core.exports.batchnorm_work_bytes(C), (work) =>
    runtime.atomically(() =>
      channelsLast(runtime, dtype, false, scratchBytes(dtype, false, channels, channels), () => {
        const out = given ?? runtime.create(dtype, xs.shape);
        const saved = runtime.create("float64", [2, C]);
        const mean = running.mean ?? zeros(runtime, dtype, C);
        const variance = running.variance ?? zeros(runtime, dtype, C);
        return {
          inputs: [{ ...channels, address: xs.address }],
          outputs: [{ ...channels, address: out.address }],
          run(from, to) {
            runtime
              .kernels(dtype)
              .batchnorm_forward(
                to,
                saved.address,
                mean.address,
                variance.address,
                from,
                gammas.address,
                betas.address,
                work,
                N * S,
                C,
                eps,
                momentum,
                mode === "train",
              );
            storeRunning(bnParam, running, mean, variance);
            const [x, gamma, outShape] = [xs.alias(), gammas.alias(), xs.shape];
            const state = new BatchnormState<D>({
              ...{ operation, runtime, dtype, outShape, x, gamma, statistics: saved, mode, axis },
            });
            return { out, cache: runtime.own(state) };
          },
        };
      }),
    ),
  );
}

/**
 * Gradients of batchnormForward: dbeta = Σₙ dout, dgamma = Σₙ dout · xNorm, and after training
 * dx = gamma / (N · sqrt(var + eps)) · (N · dout − dbeta − xNorm · dgamma). After test mode the
 * statistics are constants: dx = dout · gamma / sqrt(runningVar + eps).
 *
 * dout (N, D) → dx (N, D), dgamma (D,), dbeta (D,); of a higher rank dout and dx have x's shape,
 * and N is the number of a channel's values.
 *
 * @param options.dx a tensor to write into, or false to leave it out; likewise dgamma and dbeta.
 *   They may not share data with each other, with dout or with what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and
 *   TypeError for a cache of another call
 */
export function batchnormBackward<
  D extends FloatDType,
  X extends Tensor<D> | false = Tensor<D>,
  G extends Tensor<D> | false = Tensor<D>,
  B extends Tensor<D> | false = Tensor<D>,
>(
  dout: Tensor<D>,
  cache: BatchnormCache<NoInfer<D>>,
  options: { dx?: X | undefined; dgamma?: G | undefined; dbeta?: B | undefined } = {},
): { dx: Gradient<D, X>; dgamma: Gradient<D, G>; dbeta: Gradient<D, B> } {
  return normBackward<D, BatchnormSaved<D>, X, G, B>(
    "batchnormBackward",
    "batchnormForward",
    dout,
    cache,
    options,
    ({ runtime, gamma }) => runtime.core.exports.batchnorm_work_bytes(gamma.size),
    ({ runtime, x, gamma, statistics, mode, axis, dtype }, work, up, dx, dgamma, dbeta) => {
      const channels = channelsOf(x, axis);
      const { N, C, S } = channels;
      const arrays = dx ? [channels, channels, channels] : [channels, channels];
      channelsLast(runtime, dtype, false, scratchBytes(dtype, false, ...arrays), () => ({
        inputs: [
          { ...channels, address: up.address },
          { ...channels, address: x.address },
        ],
        outputs: [{ ...channels, address: dx?.address ?? 0 }],
        run: (dout, x, dx) =>
          runtime
            .kernels(dtype)
            .batchnorm_backward(
              dx,
              dgamma?.address ?? 0,
              dbeta?.address ?? 0,
              dout,
              x,
              gamma.address,
              statistics.address,
              work,
              N * S,
              C,
              mode === "train",
            ),
      }));
    },
  );
}

/**
 * Replaces the running values by the mean and the biased variance over all rows of these batches,
 * in one pass: the batch-normalisation paper's own inference statistics (its algorithm 2), in place
 * of moving averages.
 *
 * @param batches tensors (N, D), or (N, C, …) by bnParam.axis, the inputs that would enter the
 *   layer; they stay the caller's
 * @param bnParam its runningMean and runningVar are written in place, made where absent; nothing
 *   changes where a batch is refused
 * @throws RangeError where there is no row at all; ShapeError, DTypeError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function recalibrate<D extends FloatDType>(
  batches: Iterable<Tensor<D>>,
  bnParam: BatchnormParam<NoInfer<D>>,
): void {
  const operation = "recalibrate";
  checkObject(operation, "bnParam", bnParam);
  checkKeys(operation, "bnParam", bnParam, PARAM);
  const { axis = 1 } = bnParam;
  if (
    ArrayBuffer.isView(batches) ||
    typeof (batches as Partial<Iterable<unknown>> | undefined)?.[Symbol.iterator] !== "function"
  ) {
    throw new TypeError(`${operation}: batches must be iterable, got ${show(batches)}`);
  }
  let first: TensorHandle<D> | undefined;
  let population: Moments | undefined;
  let C = 0;
  let index = 0;
  for (const batch of batches) {
    const name = `batches[${index++}]`;
    const x = first
      ? operandLike(operation, name, batch, "batches[0]", first)
      : floatOperand(operation, name, batch);
    const channels = channelsOf(x, axisOf(operation, name, x, axis));
    if (first && C !== channels.C) {
      throw new ShapeError(
        `${operation}: ${name} has ${channels.C} features but batches[0] has ${C}`,
      );
    }
    if (!first) {
      C = channels.C;
      const { mean, variance } = runningOperands(operation, bnParam, bnParam, "batches[0]", x, C);
      checkAliases(
        operation,
        [
          ["bnParam.runningMean", mean],
          ["bnParam.runningVar", variance],
        ],
        [],
      );
      first = x;
    }
    if (channels.N * channels.S === 0) continue;
    const moments = momentsOf(x, channels);
    population = population ? joinMoments(population, moments) : moments;
  }
  if (!first || !population) {
    throw new RangeError(`${operation}: batches hold no row to take a mean over`);
  }
  const { runtime, dtype } = first;
  const { mean, m2, count } = population;
  const x = first;
  runtime.atomically(() => {
    const running = runningOperands(operation, bnParam, bnParam, "batches[0]", x, C);
    const runningMean = running.mean ?? zeros(runtime, dtype, mean.length);
    const runningVar = running.variance ?? zeros(runtime, dtype, mean.length);
    // Views only now: what was made above may have grown the memory.
    runningMean.data.set(mean);
    runningVar.data.set(m2.map((squares) => squares / count));
    storeRunning(bnParam, running, runningMean, runningVar);
  });
}

/**
 * What is known of the columns of some rows: their mean, m2 = Σ (x − mean)², and how many there
 * are.
 */
interface Moments {
  mean: Float64Array;
  m2: Float64Array;
  count: number;
}

function momentsOf(x: TensorHandle<FloatDType>, channels: Omit<Channels, "address">): Moments {
  const { runtime, dtype } = x;
  const { N, C, S } = channels;
  const { exports } = runtime.core;
  return runtime.withWorkspace(16 * C, (mean) =>
    runtime.withWorkspace(exports.batchnorm_work_bytes(C), (work) =>
      channelsLast(runtime, dtype, false, scratchBytes(dtype, false, channels), () => ({
        inputs: [{ ...channels, address: x.address }],
        outputs: [],
        run(from) {
          const m2 = mean + 8 * C;
          runtime.kernels(dtype).batchnorm_moments(mean, m2, from as number, work, N * S, C);
          const read = (address: number) =>
            new Float64Array(runtime.linear.wasm.buffer, address, C).slice();
          return { mean: read(mean), m2: read(m2), count: N * S };
        },
      })),
    ),
  );
}

/** Chan, Golub and LeVeque's formula, as the core joins its chunks. */
function joinMoments(a: Moments, b: Moments): Moments {
  const count = a.count + b.count;
  const share = b.count / count;
  const delta = b.mean.map((mean, j) => mean - (a.mean[j] as number));
  return {
    mean: a.mean.map((mean, j) => mean + (delta[j] as number) * share),
    m2: a.m2.map(
      (m2, j) =>
        (b.m2[j] as number) + m2 + (delta[j] as number) * (delta[j] as number) * (a.count * share),
    ),
    count,
  };
}
