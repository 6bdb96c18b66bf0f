import { CoreConstants } from "../runtime/abi.ts";
import { textOf } from "../runtime/errors.ts";
import { checkShape } from "./shape.ts";
import type { Tensor, TensorRuntime } from "./tensor.ts";

/** The lengths of a shape, one by one as NumPy's rand takes them, or as one array. */
export type ShapeArguments = readonly number[] | [readonly number[]];

/**
 * The draws of NumPy's legacy generator, numpy.random.RandomState (MT19937; frozen by NumPy's
 * NEP 19): the same numbers in the same order for the same calls. `randn` takes a logarithm,
 * where NumPy uses the C library's; it agrees to 1 ULP.
 */
export interface Random {
  /** Uniform on [0, 1): `rand(2, 3)` or `rand([2, 3])`. */
  rand(...shape: ShapeArguments): Tensor<"float64">;
  /** Normal with mean 0 and deviation 1: `randn(2, 3)` or `randn([2, 3])`. */
  randn(...shape: ShapeArguments): Tensor<"float64">;
  /**
   * Whole numbers on [low, high), or on [0, low) where high is left out; a single one, of shape (),
   * where the shape is.
   * @throws RangeError where low ≥ high or they are no whole numbers of 32 bits
   */
  randint(low: number, high?: number | null, shape?: readonly number[] | number): Tensor<"int32">;
  /**
   * 0 … n − 1 in random order.
   * @throws RangeError where n is not a whole number in [0, 2³¹)
   */
  permutation(n: number): Tensor<"int32">;
}

/**
 * Where the state has the number of words that have been drawn since all were made, behind these
 * words.
 */
const POSITION = CoreConstants.mt19937Position;

/** The state lives here between calls, so that a generator holds no memory of its runtime. */
export class LegacyRandom implements Random {
  /** Whole: another generator with these bytes goes on where this one is. */
  readonly state: Uint8Array<ArrayBuffer>;

  constructor(
    private readonly runtime: TensorRuntime,
    seed: number,
  ) {
    const { exports } = runtime.core;
    this.state = new Uint8Array(exports.mt19937_state_bytes());
    this.withState((state) => exports.mt19937_seed(state, seed));
  }

  /** Goes on where a generator with this state was. */
  restore(operation: string, state: Uint8Array): void {
    // The core reads the word at this place.
    const [position = Infinity] = new Uint32Array(state.slice(POSITION, POSITION + 4).buffer);
    if (state.length !== this.state.length || position > POSITION / 4) {
      throw new RangeError(`${operation}: not the state of a generator`);
    }
    this.state.set(state);
  }

  rand(...shape: ShapeArguments): Tensor<"float64"> {
    return this.draw("rand", "float64", shapeFrom("rand", shape), (out, state, n) =>
      this.runtime.core.exports.mt19937_rand(out, state, n),
    );
  }

  randn(...shape: ShapeArguments): Tensor<"float64"> {
    return this.draw("randn", "float64", shapeFrom("randn", shape), (out, state, n) =>
      this.runtime.core.exports.mt19937_randn(out, state, n),
    );
  }

  randint(
    low: number,
    high?: number | null,
    shape: readonly number[] | number = [],
  ): Tensor<"int32"> {
    const from = high === undefined || high === null ? 0 : low;
    const to = high ?? low;
    if (!(Number.isInteger(from) && Number.isInteger(to))) {
      throw new RangeError(
        `randint: low and high must be whole numbers, got ${textOf(low)} and ${textOf(high)}`,
      );
    }
    if (!(from < to && from >= -(2 ** 31) && to <= 2 ** 31)) {
      throw new RangeError(
        `randint: expected -2147483648 <= low < high <= 2147483648, got low ${from} and high ${to}`,
      );
    }
    const checked = checkShape("randint", typeof shape === "number" ? [shape] : shape);
    return this.draw("randint", "int32", checked, (out, state, n) =>
      this.runtime.core.exports.mt19937_randint(out, state, n, from, to - from - 1),
    );
  }

  permutation(n: number): Tensor<"int32"> {
    if (!(Number.isInteger(n) && n >= 0 && n < 2 ** 31)) {
      throw new RangeError(
        `permutation: n must be a whole number in [0, 2147483648), got ${textOf(n)}`,
      );
    }
    return this.draw("permutation", "int32", Object.freeze([n]), (out, state) =>
      this.runtime.core.exports.mt19937_permutation(out, state, n),
    );
  }

  private draw<D extends "float64" | "int32">(
    operation: string,
    dtype: D,
    shape: readonly number[],
    kernel: (out: number, state: number, n: number) => void,
  ): Tensor<D> {
    const { runtime } = this;
    runtime.check(operation);
    return this.withState((state) => {
      const out = runtime.create(dtype, shape);
      kernel(out.address, state, out.size);
      return out;
    });
  }

  /** Runs fn on a copy of the state in memory, and takes what it leaves. */
  private withState<T>(fn: (state: number) => T): T {
    const { runtime, state } = this;
    return runtime.withWorkspace(state.length, (address) => {
      new Uint8Array(runtime.linear.wasm.buffer, address, state.length).set(state);
      const result = fn(address);
      // The memory may have grown meanwhile: a new view.
      state.set(new Uint8Array(runtime.linear.wasm.buffer, address, state.length));
      return result;
    });
  }
}

function shapeFrom(operation: string, shape: ShapeArguments): readonly number[] {
  return checkShape(operation, shape.length === 1 && Array.isArray(shape[0]) ? shape[0] : shape);
}
