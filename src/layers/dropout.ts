import { CoreConstants } from "../runtime/abi.ts";
import { textOf } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkRange, checkSeed, probability } from "../tensor/numbers.ts";
import {
  checkCache,
  checkObject,
  destination,
  floatOperand,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";

const FORWARD = ["out"];
const BACKWARD = ["dx"];
const PARAM = ["p", "mode", "seed"];

export interface DropoutParam {
  /** The probability of dropping a value, 0 ≤ p < 1. */
  p: number;
  mode: "train" | "test";
  /**
   * A whole number in [0, 2³²). With it the mask is NumPy's own, that of `np.random.seed(seed)` and
   * `np.random.rand(*x.shape) >= p`; without it the runtime's generator draws.
   */
  seed?: number | undefined;
}

/** What dropoutForward leaves for dropoutBackward. */
export interface DropoutCache<D extends FloatDType = FloatDType> extends Cache {
  readonly dropoutParam: Readonly<DropoutParam>;
  /** In x's shape, 0 where a value was dropped and 1 / (1 − p) elsewhere; null in test mode. */
  readonly mask: Tensor<D> | null;
}

interface DropoutSaved<D extends FloatDType> extends Saved {
  readonly dropoutParam: Readonly<DropoutParam>;
  readonly mask: TensorHandle<D> | null;
}

class DropoutState<D extends FloatDType>
  extends SavedState<DropoutSaved<D>>
  implements DropoutCache<D>
{
  constructor(
    { runtime, dtype, shape: outShape }: TensorHandle<D>,
    dropoutParam: Readonly<DropoutParam>,
    mask: TensorHandle<D> | null,
  ) {
    const operation = "dropoutForward";
    super({ operation, runtime, dtype, outShape, dropoutParam, mask }, mask ? [mask] : []);
  }

  get dropoutParam(): Readonly<DropoutParam> {
    return this.saved.dropoutParam;
  }

  get mask(): Tensor<D> | null {
    return this.saved.mask;
  }
}

/** A copy, read once, that nobody can change. */
function checkParam(operation: string, param: DropoutParam): Readonly<DropoutParam> {
  checkObject(operation, "dropoutParam", param);
  checkKeys(operation, "dropoutParam", param, PARAM);
  const { p, mode, seed } = param;
  if (mode !== "train" && mode !== "test") {
    throw new RangeError(`Invalid forward dropout mode "${textOf(mode)}"`);
  }
  checkRange(operation, "p", probability, p);
  if (seed !== undefined) checkSeed(operation, seed);
  return Object.freeze(seed === undefined ? { p, mode } : { p, mode, seed });
}

/** A handle of its own on source's data, or the given destination with a copy of it. */
function passOn<D extends FloatDType>(
  source: TensorHandle<D>,
  given: TensorHandle<D> | undefined,
): TensorHandle<D> {
  if (!given) return source.runtime.own(source.alias());
  if (given.storage !== source.storage) given.data.set(source.data as never);
  return given;
}

/**
 * Inverted dropout, for any shape. Training: mask = (r >= p) / (1 − p) with r uniform on [0, 1),
 * one draw per element in row-major order, and out = x · mask. Test: out holds x's values, without
 * a copy.
 *
 * Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014.
 *
 * @param options.out a tensor to write into; x itself serves
 * @throws RangeError for a p, mode or seed out of range; ShapeError, DTypeError, DisposedError,
 *   RuntimeMismatchError, MemoryError, and TypeError for what is no tensor
 */
export function dropoutForward<D extends FloatDType>(
  x: Tensor<D>,
  dropoutParam: DropoutParam,
  options: { out?: Tensor<NoInfer<D>> | undefined } = {},
): { out: Tensor<D>; cache: DropoutCache<D> } {
  const operation = "dropoutForward";
  checkKeys(operation, "options", options, FORWARD);
  const { out: wanted } = options; // once, and before the operands are looked at
  const param = checkParam(operation, dropoutParam);
  const xs = floatOperand(operation, "x", x);
  const given = destination(operation, "out", wanted, xs.shape, "x", xs);
  const { runtime, dtype, size: n } = xs;
  if (param.mode === "test") {
    return { out: passOn(xs, given), cache: runtime.own(new DropoutState(xs, param, null)) };
  }

  const kernels = runtime.kernels(dtype);
  const { exports } = runtime.core;
  const { p, seed } = param;
  const bytes =
    seed === undefined ? exports.dropout_work_bytes() : exports.dropout_seeded_work_bytes();
  return runtime.withWorkspace(bytes, (work) =>
    runtime.atomically(() => {
      const out = given ?? runtime.create(dtype, xs.shape);
      const mask = runtime.create(dtype, xs.shape);
      if (seed === undefined) {
        // Every 4,096 elements are seeded with four blocks of the generator.
        const { key, low, high } = runtime.takeRandomBlocks(
          4 * Math.ceil(n / CoreConstants.dropoutChunk),
        );
        kernels.dropout_forward(out.address, mask.address, xs.address, work, n, p, key, low, high);
      } else {
        kernels.dropout_forward_seeded(out.address, mask.address, xs.address, work, n, p, seed);
      }
      return { out, cache: runtime.own(new DropoutState(xs, param, mask)) };
    }),
  );
}

/**
 * Gradient of dropoutForward: dx = dout · mask after training; in test mode dx holds dout's values,
 * without a copy.
 *
 * @param options.dx a tensor to write into; dout itself serves
 * @throws ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError, and TypeError
 *   for a cache of another call
 */
export function dropoutBackward<D extends FloatDType>(
  dout: Tensor<D>,
  cache: DropoutCache<NoInfer<D>>,
  options: { dx?: Tensor<NoInfer<D>> | undefined } = {},
): Tensor<D> {
  const operation = "dropoutBackward";
  checkKeys(operation, "options", options, BACKWARD);
  const { dx: wanted } = options;
  const state = checkCache<DropoutSaved<D>>(operation, cache, "dropoutForward");
  const up = upstream(operation, dout, state);
  const given = destination(operation, "dx", wanted, up.shape, "the cache", state);
  const { mask, runtime } = state;
  if (!mask) return passOn(up, given);
  const dx = given ?? runtime.create(up.dtype, up.shape);
  runtime.kernels(up.dtype).dropout_backward(dx.address, up.address, mask.address, up.size);
  return dx;
}
