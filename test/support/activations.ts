// The activations that act on each element alone, one row each: the plain float64 twin, the exact
// value and derivative in whole numbers, and what errors are stated. The tests of the layers, the
// fuzz, the threads, the numerics and the Web Platform Tests' budgets all go by these rows.

import { sigmoidExact } from "../math/oracle.ts";
import { divide, exp, fixed, fixedOf, log, magnitude, multiply, ONE } from "../numerics/exact.ts";

// biome-ignore lint/suspicious/noExplicitAny: each row knows its own
type Settings = any;

export interface Activation {
  /** As the docs call it. */
  readonly title: string;
  forward(x: number, settings: Settings): number;
  /** Of x, or of out where the layer's record keeps that. */
  derivative(kept: number, settings: Settings): number;
  /** In units of 2⁻⁵¹², with the settings' defaults. */
  exact(x: bigint, value: number): bigint;
  exactDerivative(x: bigint, value: number): bigint;
  /** Where results are in the normal range, and so measured in ULP. */
  readonly range: {
    readonly float32: readonly [number, number];
    readonly float64: readonly [number, number];
  };
  /** The stated error of the forward, in ULP there. */
  readonly ulp: number;
  /** What the forward's error is relative to beside the value: a term that cancels. */
  scale?(x: number, settings: Settings): number;
  /** The budget of the Web Platform Tests, where they have one. */
  readonly budget?: number;
  /** The settings that are tried, the first of them the default ones. */
  readonly settings?: readonly Settings[];
  /** Settings that are refused. */
  readonly wrong?: readonly Settings[];
  /** What an element costs for the threads, in bytes of its dtype. */
  readonly cost: number;
  /** Where the derivative is 0, dx is 0 even if dout is no number. */
  readonly gates?: boolean;
  /** The gradient's bound of |dx / dout|. */
  readonly most: number;
}

const HEAVY = 16;
const LIGHT = 2;

const sigmoid = (x: number) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)));
const sigmoidOf = (value: number) => fixedOf(sigmoidExact(value));
const clip = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);
const clipped = (x: bigint, low: bigint, high: bigint) => (x < low ? low : x > high ? high : x);
const whole = (n: number) => BigInt(n) * ONE;

/** tanh(log(1 + exp(x))) as u / (u + w), of x ≤ 0 and above. */
const mishParts = (x: number): [u: number, w: number] => {
  const e = Math.exp(-Math.abs(x));
  return x > 0 ? [1 + 2 * e, 2 * e * e] : [e * (e + 2), 2];
};
const mishTangent = (value: number) => {
  const e = exp(value) + ONE;
  const square = multiply(e, e);
  return divide(square - ONE, square + ONE);
};

const SCALE = 1.0507009873554805;
const ALPHA = 1.6732632423543772;
const [SCALE_EXACT, FACTOR_EXACT] = [fixed(SCALE), multiply(fixed(SCALE), fixed(ALPHA))];

/** The gradient as kernels have it: dout · derivative. */
export const gradientOf = (row: Activation, dout: number, kept: number, settings: Settings) => {
  const derivative = row.derivative(kept, settings);
  return row.gates && derivative === 0 ? 0 : dout * derivative;
};

export const activations: Readonly<Record<string, Activation>> = {
  silu: {
    title: "SiLU",
    forward: (x) => x * sigmoid(x),
    derivative: (x) => sigmoid(x) * (1 + x * sigmoid(-x)),
    exact: (x, value) => multiply(x, sigmoidOf(value)),
    exactDerivative: (x, value) => multiply(sigmoidOf(value), ONE + multiply(x, sigmoidOf(-value))),
    range: { float32: [-87, 88], float64: [-200, 200] },
    ulp: 2.5,
    cost: HEAVY,
    most: 1.1,
  },
  hardSwish: {
    title: "hard swish",
    forward: (x) => x * (clip(x + 3, 0, 6) / 6),
    derivative: (x) => (x < -3 ? 0 : x > 3 ? 1 : x / 3 + 0.5),
    exact: (x) => multiply(x, clipped(x + whole(3), 0n, whole(6))) / 6n,
    exactDerivative: (x) => (x < whole(-3) ? 0n : x > whole(3) ? ONE : x / 3n + ONE / 2n),
    range: { float32: [-10, 10], float64: [-10, 10] },
    ulp: 2,
    budget: 4,
    gates: true,
    cost: LIGHT,
    most: 1.5,
  },
  hardSigmoid: {
    title: "hard sigmoid",
    forward: (x, { alpha = 1 / 6, beta = 0.5 }) => clip(x * alpha + beta, 0, 1),
    derivative: (out, { alpha = 1 / 6 }) => (out > 0 && out < 1 ? alpha : 0),
    exact: (x) => clipped(x / 6n + ONE / 2n, 0n, ONE),
    exactDerivative: (x) => (x > whole(-3) && x < whole(3) ? ONE / 6n : 0n),
    // Near −3 the sum cancels: there the error is of ½.
    range: { float32: [-2, 10], float64: [-2, 10] },
    ulp: 2,
    scale: (x, { alpha = 1 / 6, beta = 0.5 }) =>
      x * alpha + beta > 1 || x * alpha + beta < -1 ? 0 : Math.abs(beta) + 1,
    settings: [{}, { alpha: 0.2 }, { alpha: 1, beta: 0 }, { alpha: -0.5, beta: 0.25 }],
    wrong: [{ alpha: Number.NaN }, { alpha: Infinity }, { beta: "1" }],
    gates: true,
    cost: LIGHT,
    most: 1,
  },
  relu6: {
    title: "ReLU6",
    forward: (x) => clip(x, 0, 6),
    derivative: (out) => (out > 0 && out < 6 ? 1 : 0),
    exact: (x) => clipped(x, 0n, whole(6)),
    exactDerivative: (x) => (x > 0n && x < whole(6) ? ONE : 0n),
    range: { float32: [-10, 10], float64: [-10, 10] },
    ulp: 0,
    gates: true,
    cost: LIGHT,
    most: 1,
  },
  elu: {
    title: "ELU",
    forward: (x, { alpha = 1 }) => (x > 0 ? x : alpha * Math.expm1(x)),
    derivative: (x, { alpha = 1 }) => (x > 0 ? 1 : alpha * Math.exp(x)),
    exact: (x, value) => (value > 0 ? x : exp(value) - ONE),
    exactDerivative: (_, value) => (value > 0 ? ONE : exp(value)),
    range: { float32: [-87, 10], float64: [-200, 10] },
    ulp: 2,
    budget: 18,
    settings: [{}, { alpha: 0.3 }, { alpha: 2 }, { alpha: 0 }, { alpha: -1.5 }],
    wrong: [{ alpha: Number.NaN }, { alpha: Infinity }, { alpha: "1" }],
    cost: HEAVY,
    most: 2,
  },
  selu: {
    title: "SELU",
    forward: (x) => SCALE * (x > 0 ? x : ALPHA * Math.expm1(x)),
    derivative: (x) => SCALE * (x > 0 ? 1 : ALPHA * Math.exp(x)),
    exact: (x, value) =>
      value > 0 ? multiply(SCALE_EXACT, x) : multiply(FACTOR_EXACT, exp(value) - ONE),
    exactDerivative: (_, value) => (value > 0 ? SCALE_EXACT : multiply(FACTOR_EXACT, exp(value))),
    range: { float32: [-87, 10], float64: [-200, 10] },
    ulp: 3,
    cost: HEAVY,
    most: 1.8,
  },
  softplus: {
    title: "softplus",
    forward: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    derivative: sigmoid,
    exact: (x, value) => (value > 0 ? x : 0n) + logOnePlus(exp(-Math.abs(value))),
    exactDerivative: (_, value) => sigmoidOf(value),
    range: { float32: [-87, 88], float64: [-200, 200] },
    ulp: 3.5,
    budget: 18,
    cost: HEAVY,
    most: 1,
  },
  softsign: {
    title: "softsign",
    forward: (x) => x / (1 + Math.abs(x)),
    derivative: (x) => 1 / (1 + Math.abs(x)) / (1 + Math.abs(x)),
    exact: (x) => divide(x, ONE + magnitude(x)),
    exactDerivative: (x) => divide(ONE, multiply(ONE + magnitude(x), ONE + magnitude(x))),
    range: { float32: [-1e4, 1e4], float64: [-1e4, 1e4] },
    ulp: 1.5,
    budget: 3,
    cost: LIGHT,
    most: 1,
  },
  mish: {
    title: "Mish",
    forward(x) {
      const [u, w] = mishParts(x);
      return x * (u / (u + w));
    },
    derivative(x) {
      const [u, w] = mishParts(x);
      const sum = u + w;
      return u / sum + x * sigmoid(x) * (w / sum) * ((2 * u + w) / sum);
    },
    exact: (x, value) => multiply(x, mishTangent(value)),
    exactDerivative(x, value) {
      const t = mishTangent(value);
      return t + multiply(multiply(x, sigmoidOf(value)), ONE - multiply(t, t));
    },
    range: { float32: [-87, 88], float64: [-150, 150] },
    ulp: 4,
    cost: HEAVY,
    most: 1.1,
  },
};

/** log(1 + e) for 0 ≤ e ≤ 1, with the digits of a small e: 2 · artanh(e / (2 + e)). */
function logOnePlus(e: bigint): bigint {
  if (e > ONE >> 10n) return log(ONE + e);
  const s = divide(e, 2n * ONE + e);
  const square = multiply(s, s);
  let power = s;
  let total = 0n;
  for (let n = 1n; power !== 0n; n += 2n) {
    total += power / n;
    power = multiply(power, square);
  }
  return 2n * total;
}
