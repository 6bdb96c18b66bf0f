import { show } from "../runtime/errors.ts";
import type { Random } from "../tensor/random.ts";
import { sizeOf } from "../tensor/shape.ts";
import { checkNone } from "./settings.ts";

/**
 * The first values of a parameter: as many numbers as the shape holds, in row-major order. Weights
 * have the shape (D, M), features in by features out, and biases (M,). Draws come from the model's
 * own generator, in the order of the layers.
 */
export type Initializer = (shape: readonly number[], random: Random) => ArrayLike<number>;

/** Numbers alone: of others the weights would be NaN. */
function checkNumbers(operation: string, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "number") {
      throw new TypeError(`${operation}: ${name} must be a number, got ${show(value)}`);
    }
  }
}

/** center + scale · draws, in place: they are a view of a tensor that nobody else has. */
function scaled(draws: Float64Array, scale: number, center = 0): Float64Array {
  for (let i = 0; i < draws.length; i++) draws[i] = center + scale * (draws[i] as number);
  return draws;
}

/**
 * How many values each output of a weight is summed from, and into how many each value goes: D and
 * M of a weight (D, M), KH · KW · C and KH · KW · F of a filter (KH, KW, C, F), M and M of a bias.
 */
function fans(shape: readonly number[]): [number, number] {
  const [M = 1, D = M] = shape.toReversed();
  const taps = sizeOf(shape.slice(0, -2));
  return [taps * D, taps * M];
}

/**
 * scale · randn(…shape): normal with mean 0 and this deviation, as
 * `weight_scale * np.random.randn(D, M)`.
 */
export function normal(scale: number): Initializer {
  checkNumbers("normal", { scale });
  return (shape, random) => scaled(random.randn(shape).data, scale);
}

/** Uniform on [low, high). */
export function uniform(low: number, high: number): Initializer {
  checkNumbers("uniform", { low, high });
  return (shape, random) => scaled(random.rand(shape).data, high - low, low);
}

/**
 * Normal with deviation sqrt(2 / D), which keeps the size of a signal through ReLU: the default of
 * affine weights. He et al., "Delving Deep into Rectifiers", 2015, arXiv:1502.01852.
 */
export function heNormal(...none: []): Initializer {
  checkNone("heNormal", none);
  return (shape, random) => normal(Math.sqrt(2 / fans(shape)[0]))(shape, random);
}

/** Uniform within ± sqrt(6 / D), the deviation of heNormal. */
export function heUniform(...none: []): Initializer {
  checkNone("heUniform", none);
  return (shape, random) => symmetric(Math.sqrt(6 / fans(shape)[0]))(shape, random);
}

/**
 * Normal with deviation sqrt(2 / (D + M)), for sigmoid and tanh. Glorot and Bengio, "Understanding
 * the difficulty of training deep feedforward neural networks", AISTATS 2010.
 */
export function xavierNormal(...none: []): Initializer {
  checkNone("xavierNormal", none);
  return (shape, random) => {
    const [D, M] = fans(shape);
    return normal(Math.sqrt(2 / (D + M)))(shape, random);
  };
}

/** Uniform within ± sqrt(6 / (D + M)), the deviation of xavierNormal. */
export function xavierUniform(...none: []): Initializer {
  checkNone("xavierUniform", none);
  return (shape, random) => {
    const [D, M] = fans(shape);
    return symmetric(Math.sqrt(6 / (D + M)))(shape, random);
  };
}

/** Every value the same; nothing is drawn. */
export function constant(value: number): Initializer {
  checkNumbers("constant", { value });
  return (shape) => new Float64Array(sizeOf(shape)).fill(value);
}

/** All 0: the default of biases. */
export function zeros(...none: []): Initializer {
  checkNone("zeros", none);
  return constant(0);
}

/** All 1. */
export function ones(...none: []): Initializer {
  checkNone("ones", none);
  return constant(1);
}

function symmetric(bound: number): Initializer {
  return uniform(-bound, bound);
}
