import { ShapeError, show, textOf } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkRange, positive, weight } from "../tensor/numbers.ts";
import {
  checkAliases,
  checkCache,
  checkObject,
  checkRank,
  checkTensorShape,
  destination,
  floatOperand,
  type Named,
  operandLike,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor, TensorHandle, TensorRuntime } from "../tensor/tensor.ts";

const FORWARD = ["out"];
const BACKWARD = ["dx", "dgamma", "dbeta"];
const PARAM = ["mode", "eps", "momentum", "runningMean", "runningVar"];

/** The parameters of batch normalisation that are not learned, and its running values. */
export interface BatchnormParam<D extends FloatDType = FloatDType> {
  /** "train" normalises by the batch and moves the running values; "test" normalises by them. */
  mode: "train" | "test";
  /** Added to the variance, above 0; default 1e-5. */
  eps?: number | undefined;
  /**
   * The weight of the OLD running value, in [0, 1]; default 0.9. PyTorch's momentum is the weight of the new
   * one: 1 − this.
   */
  momentum?: number | undefined;
  /** (D,), updated in place by training; made, all 0, where it is absent. It outlives the scope that made it. */
  runningMean?: Tensor<D> | undefined;
  /** (D,), of the biased variance (1/N), otherwise as runningMean. */
  runningVar?: Tensor<D> | undefined;
}

/** What batchnormForward leaves for batchnormBackward: its operands, by reference, and the statistics it used. */
export interface BatchnormCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
  readonly gamma: Tensor<D>;
  readonly mode: "train" | "test";
}

interface BatchnormSaved<D extends FloatDType> extends Saved {
  readonly x: TensorHandle<D>;
  readonly gamma: TensorHandle<D>;
  /** (2, D): the mean, then 1 / sqrt(var + eps). */
  readonly statistics: TensorHandle<"float64">;
  readonly mode: "train" | "test";
}

class BatchnormState<D extends FloatDType>
  extends SavedState<BatchnormSaved<D>>
  implements BatchnormCache<D>
{
  get x(): Tensor<D> {
    return this.saved.x;
  }

  get gamma(): Tensor<D> {
    return this.saved.gamma;
  }

  get mode(): "train" | "test" {
    return this.saved.mode;
  }
}

/** The running values that a bnParam has, checked against the layer's input. */
function runningOperands<D extends FloatDType>(
  operation: string,
  bnParam: BatchnormParam<D>,
  { runningMean, runningVar }: Pick<BatchnormParam<D>, "runningMean" | "runningVar">,
  name: string,
  x: TensorHandle<D>,
): { mean: TensorHandle<D> | undefined; variance: TensorHandle<D> | undefined } {
  const shape = [x.shape[1] as number];
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
 * Batch normalisation of each column over the rows of x.
 *
 * x (N, D), gamma (D,), beta (D,) → out (N, D) = gamma · xNorm + beta. Training: xNorm = (x − mu) / sqrt(var + eps)
 * with the batch's mean and biased variance (1/N), and then running = momentum · running + (1 − momentum) ·
 * batch for both. Test: xNorm = (x − runningMean) / sqrt(runningVar + eps), and the running values stay.
 * The statistics are float64 whatever the dtype.
 *
 * Ioffe and Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.
 *
 * @param bnParam mode is required; runningMean and runningVar are stored back into it
 * @param options.out a tensor to write into; it may not share data with an operand
 * @throws RangeError for a mode, eps or momentum out of range, and for an empty batch in training; ShapeError,
 *   DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
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
  const { mode, eps = 1e-5, momentum = 0.9, runningMean, runningVar } = bnParam;
  const xs = floatOperand(operation, "x", x);
  const gammas = operandLike(operation, "gamma", gamma, "x", xs);
  const betas = operandLike(operation, "beta", beta, "x", xs);
  checkRank(operation, "x", xs, 2, "(N, D)");
  const N = xs.shape[0] as number;
  const D = xs.shape[1] as number;
  checkTensorShape(operation, "gamma", gammas, [D]);
  checkTensorShape(operation, "beta", betas, [D]);
  if (mode !== "train" && mode !== "test") {
    throw new RangeError(`Invalid forward batchnorm mode "${textOf(mode)}"`);
  }
  checkRange(operation, "eps", positive, eps);
  checkRange(operation, "momentum", weight, momentum);
  const running = runningOperands(operation, bnParam, { runningMean, runningVar }, "x", xs);
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
  if (mode === "train" && N === 0) {
    throw new RangeError(
      `${operation}: x has no rows (N = 0), and training takes a mean over them`,
    );
  }

  const { runtime, dtype } = xs;
  return runtime.withWorkspace(runtime.core.exports.batchnorm_work_bytes(D), (work) =>
    runtime.atomically(() => {
      const out = given ?? runtime.create(dtype, xs.shape);
      const saved = runtime.create("float64", [2, D]);
      const mean = running.mean ?? zeros(runtime, dtype, D);
      const variance = running.variance ?? zeros(runtime, dtype, D);
      runtime
        .kernels(dtype)
        .batchnorm_forward(
          out.address,
          saved.address,
          mean.address,
          variance.address,
          xs.address,
          gammas.address,
          betas.address,
          work,
          N,
          D,
          eps,
          momentum,
          mode === "train",
        );
      storeRunning(bnParam, running, mean, variance);
      const [x, gamma, outShape] = [xs.alias(), gammas.alias(), xs.shape];
      const state = new BatchnormState<D>(
        { operation, runtime, dtype, outShape, x, gamma, statistics: saved, mode },
        [x, gamma, saved],
      );
      return { out, cache: runtime.own(state) };
    }),
  );
}

type Gradient<D extends FloatDType, Given> = Given extends false ? undefined : Tensor<D>;

/**
 * Gradients of batchnormForward: dbeta = Σₙ dout, dgamma = Σₙ dout · xNorm, and after training
 * dx = gamma / (N · sqrt(var + eps)) · (N · dout − dbeta − xNorm · dgamma). After test mode the
 * statistics are constants: dx = dout · gamma / sqrt(runningVar + eps).
 *
 * dout (N, D) → dx (N, D), dgamma (D,), dbeta (D,).
 *
 * @param options.dx a tensor to write into, or false to leave it out; likewise dgamma and dbeta. They may not
 *   share data with each other, with dout or with what the cache holds
 * @throws ShapeError, DTypeError, AliasError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError for a
 *   cache of another call
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
  const operation = "batchnormBackward";
  checkKeys(operation, "options", options, BACKWARD);
  const { dx: wantedX, dgamma: wantedG, dbeta: wantedB } = options;
  const state = checkCache<BatchnormSaved<D>>(operation, cache, "batchnormForward");
  const up = upstream(operation, dout, state);
  const { x, gamma, statistics: saved, mode, runtime } = state;
  const N = x.shape[0] as number;
  const D = x.shape[1] as number;
  const givenX = destination(operation, "dx", wantedX, x.shape, "the cache", state);
  const givenG = destination(operation, "dgamma", wantedG, [D], "the cache", state);
  const givenB = destination(operation, "dbeta", wantedB, [D], "the cache", state);
  checkAliases(
    operation,
    [
      ["dx", givenX],
      ["dgamma", givenG],
      ["dbeta", givenB],
    ],
    [
      ["dout", up],
      ["the cache's x", x],
      ["the cache's gamma", gamma],
    ],
  );

  const create = (wanted: unknown, like: TensorHandle<D>) =>
    wanted === false ? undefined : runtime.create(up.dtype, like.shape);
  const bytes = runtime.core.exports.batchnorm_work_bytes(D);
  return runtime.withWorkspace(bytes, (work) =>
    runtime.atomically(() => {
      const dx = givenX ?? create(wantedX, x);
      const dgamma = givenG ?? create(wantedG, gamma);
      const dbeta = givenB ?? create(wantedB, gamma);
      runtime
        .kernels(up.dtype)
        .batchnorm_backward(
          dx?.address ?? 0,
          dgamma?.address ?? 0,
          dbeta?.address ?? 0,
          up.address,
          x.address,
          gamma.address,
          saved.address,
          work,
          N,
          D,
          mode === "train",
        );
      return { dx, dgamma, dbeta } as {
        dx: Gradient<D, X>;
        dgamma: Gradient<D, G>;
        dbeta: Gradient<D, B>;
      };
    }),
  );
}

/**
 * Replaces the running values by the mean and the biased variance over all rows of these batches,
 * in one pass: the batch-normalisation paper's own inference statistics (its algorithm 2), in place of moving averages.
 *
 * @param batches tensors (N, D), the inputs that would enter the layer; they stay the caller's
 * @param bnParam its runningMean and runningVar are written in place, made where absent; nothing changes
 *   where a batch is refused
 * @throws RangeError where there is no row at all; ShapeError, DTypeError, DisposedError, RuntimeMismatchError,
 *   MemoryError, and TypeError for what is no tensor
 */
export function recalibrate<D extends FloatDType>(
  batches: Iterable<Tensor<D>>,
  bnParam: BatchnormParam<NoInfer<D>>,
): void {
  const operation = "recalibrate";
  checkObject(operation, "bnParam", bnParam);
  checkKeys(operation, "bnParam", bnParam, PARAM);
  if (
    ArrayBuffer.isView(batches) ||
    typeof (batches as Partial<Iterable<unknown>> | undefined)?.[Symbol.iterator] !== "function"
  ) {
    throw new TypeError(`${operation}: batches must be iterable, got ${show(batches)}`);
  }
  let first: TensorHandle<D> | undefined;
  let population: Moments | undefined;
  let index = 0;
  for (const batch of batches) {
    const name = `batches[${index++}]`;
    const x = first
      ? operandLike(operation, name, batch, "batches[0]", first)
      : floatOperand(operation, name, batch);
    checkRank(operation, name, x, 2, "(N, D)");
    const N = x.shape[0] as number;
    const D = x.shape[1] as number;
    if (first && first.shape[1] !== D) {
      throw new ShapeError(
        `${operation}: ${name} has ${D} features but batches[0] has ${first.shape[1]}`,
      );
    }
    if (!first) {
      const { mean, variance } = runningOperands(operation, bnParam, bnParam, "batches[0]", x);
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
    if (N === 0) continue;
    const moments = momentsOf(x);
    population = population ? joinMoments(population, moments) : moments;
  }
  if (!first || !population) {
    throw new RangeError(`${operation}: batches hold no row to take a mean over`);
  }
  const { runtime, dtype } = first;
  const { mean, m2, count } = population;
  const x = first;
  runtime.atomically(() => {
    const running = runningOperands(operation, bnParam, bnParam, "batches[0]", x);
    const runningMean = running.mean ?? zeros(runtime, dtype, mean.length);
    const runningVar = running.variance ?? zeros(runtime, dtype, mean.length);
    // Views only now: what was made above may have grown the memory.
    runningMean.data.set(mean);
    runningVar.data.set(m2.map((squares) => squares / count));
    storeRunning(bnParam, running, runningMean, runningVar);
  });
}

/** What is known of the columns of some rows: their mean, m2 = Σ (x − mean)², and how many there are. */
interface Moments {
  mean: Float64Array;
  m2: Float64Array;
  count: number;
}

function momentsOf(x: TensorHandle<FloatDType>): Moments {
  const { runtime } = x;
  const N = x.shape[0] as number;
  const D = x.shape[1] as number;
  const { exports } = runtime.core;
  return runtime.withWorkspace(16 * D, (mean) =>
    runtime.withWorkspace(exports.batchnorm_work_bytes(D), (work) => {
      const m2 = mean + 8 * D;
      runtime.kernels(x.dtype).batchnorm_moments(mean, m2, x.address, work, N, D);
      const read = (address: number) =>
        new Float64Array(runtime.linear.wasm.buffer, address, D).slice();
      return { mean: read(mean), m2: read(m2), count: N };
    }),
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
