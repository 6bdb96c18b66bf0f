// Update rules as plain descriptions, so that a checkpoint can hold them, and the table of their
// kernels. The rules and defaults are CS231n's where the course has them, and PyTorch's elsewhere
// (docs/decisions/).

import type { Kernels } from "../../runtime/core.ts";
import { show } from "../../runtime/errors.ts";
import { checkRange, fromZero, probability, type Range, weight } from "../../tensor/numbers.ts";
import { checkSettings } from "../settings.ts";
import { checkRate, type LearningRate } from "./schedules.ts";

interface Rated {
  readonly learningRate: LearningRate;
}

interface Moments extends Rated {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
}

export type Optimizer =
  | ({ readonly kind: "sgd" } & Rated)
  | ({ readonly kind: "momentum"; readonly momentum: number } & Rated)
  | ({ readonly kind: "nesterov"; readonly momentum: number } & Rated)
  | ({ readonly kind: "rmsprop"; readonly decayRate: number; readonly eps: number } & Rated)
  | ({ readonly kind: "adam" } & Moments)
  | ({ readonly kind: "adamw"; readonly weightDecay: number } & Moments);

type Options<Kind> = Partial<Omit<Extract<Optimizer, { kind: Kind }>, "kind">>;

const averages = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

/** The description of an optimizer: the options over the defaults, which have every key. */
function described<D extends object>(kind: Optimizer["kind"], defaults: D, options: object) {
  checkSettings(kind, "options", options, Object.keys(defaults), true);
  return { ...defaults, ...options, kind } as unknown as Optimizer;
}

/** w −= learningRate · dw. Default learningRate 1e-2. */
export function sgd(options: Options<"sgd"> = {}): Optimizer {
  return described("sgd", { learningRate: 1e-2 }, options);
}

/**
 * v = momentum · v − learningRate · dw, w += v. Defaults: learningRate 1e-2, momentum 0.9. Polyak,
 * 1964.
 */
export function momentum(options: Options<"momentum"> = {}): Optimizer {
  return described("momentum", { learningRate: 1e-2, momentum: 0.9 }, options);
}

/**
 * Nesterov's momentum, the gradient taken where w stands: v′ = momentum · v − learningRate · dw,
 * w += −momentum · v + (1 + momentum) · v′. Defaults as momentum.
 */
export function nesterov(options: Options<"nesterov"> = {}): Optimizer {
  return described("nesterov", { learningRate: 1e-2, momentum: 0.9 }, options);
}

/**
 * cache = decayRate · cache + (1 − decayRate) · dw², w −= learningRate · dw / (√cache + eps).
 * Defaults: learningRate 1e-2, decayRate 0.99, eps 1e-8. Tieleman and Hinton, 2012.
 */
export function rmsprop(options: Options<"rmsprop"> = {}): Optimizer {
  return described("rmsprop", { learningRate: 1e-2, decayRate: 0.99, eps: 1e-8 }, options);
}

/**
 * m = beta1 · m + (1 − beta1) · dw, v = beta2 · v + (1 − beta2) · dw², w −= learningRate · m̂ /
 * (√v̂ + eps) with m̂ = m / (1 − beta1ᵗ), v̂ = v / (1 − beta2ᵗ). Defaults: learningRate 1e-3, beta1
 * 0.9, beta2 0.999, eps 1e-8. Kingma and Ba, 2015, arXiv:1412.6980.
 */
export function adam(options: Options<"adam"> = {}): Optimizer {
  return described("adam", averages, options);
}

/**
 * adam, and w −= learningRate · weightDecay · w beside it, for all parameters. Default weightDecay
 * 0.01. Loshchilov and Hutter, 2019, arXiv:1711.05101.
 */
export function adamw(options: Options<"adamw"> = {}): Optimizer {
  return described("adamw", { ...averages, weightDecay: 0.01 }, options);
}

/**
 * The arguments of an update: the addresses of w, dw and the state, the number of elements, the
 * rate, 1 − beta1ᵗ and 1 − beta2ᵗ.
 */
export interface Update {
  kernels: Kernels;
  w: number;
  dw: number;
  state: readonly number[];
  n: number;
  rate: number;
  correction1: number;
  correction2: number;
}

/** How an update rule is kept and run. */
export interface Rule {
  /** The names of the tensors that each parameter has beside it, all 0 at the start. */
  readonly state: readonly string[];
  /** The settings beside the rate, and where each must lie. */
  readonly settings: Record<string, Range>;
  readonly update: (optimizer: never, update: Update) => void;
}

const moments = { beta1: probability, beta2: probability, eps: fromZero };

const rules: Record<Optimizer["kind"], Rule> = {
  sgd: {
    state: [],
    settings: {},
    update: (_: Rated, { kernels, w, dw, n, rate }) => kernels.sgd(w, dw, n, rate),
  },
  momentum: {
    state: ["velocity"],
    settings: { momentum: weight },
    update: ({ momentum }: { momentum: number }, { kernels, w, dw, state, n, rate }) =>
      kernels.sgd_momentum(w, state[0] as number, dw, n, rate, momentum),
  },
  nesterov: {
    state: ["velocity"],
    settings: { momentum: weight },
    update: ({ momentum }: { momentum: number }, { kernels, w, dw, state, n, rate }) =>
      kernels.sgd_nesterov(w, state[0] as number, dw, n, rate, momentum),
  },
  rmsprop: {
    state: ["cache"],
    settings: { decayRate: weight, eps: fromZero },
    update: (o: { decayRate: number; eps: number }, { kernels, w, dw, state, n, rate }) =>
      kernels.rmsprop(w, state[0] as number, dw, n, rate, o.decayRate, o.eps),
  },
  adam: {
    state: ["m", "v"],
    settings: moments,
    update: (o: Moments, { kernels, w, dw, state, n, rate, correction1, correction2 }) => {
      const [m, v] = state as [number, number];
      kernels.adam(w, m, v, dw, n, rate, o.beta1, o.beta2, o.eps, correction1, correction2);
    },
  },
  adamw: {
    state: ["m", "v"],
    settings: { ...moments, weightDecay: fromZero },
    update: (
      o: Moments & { weightDecay: number },
      { kernels, w, dw, state, n, rate, correction1, correction2 },
    ) => {
      const [m, v] = state as [number, number];
      const { beta1, beta2, eps, weightDecay } = o;
      kernels.adamw(w, m, v, dw, n, rate, beta1, beta2, eps, correction1, correction2, weightDecay);
    },
  },
};

/** The rule of a checked description. */
export function ruleOf(operation: string, optimizer: Optimizer): Rule {
  const kind = optimizer?.kind;
  if (!(typeof kind === "string" && Object.hasOwn(rules, kind))) {
    throw new TypeError(
      `${operation}: optimizer must be one of ${Object.keys(rules).join("(), ")}(), got ${show(kind ?? optimizer)}${typeof optimizer === "function" ? ": call it" : ""}`,
    );
  }
  const rule = rules[kind];
  const keys = ["kind", "learningRate", ...Object.keys(rule.settings)];
  checkSettings(operation, "optimizer", optimizer, keys);
  checkRate(operation, "learningRate", optimizer.learningRate, kind);
  for (const [name, range] of Object.entries(rule.settings)) {
    const value = (optimizer as unknown as Record<string, unknown>)[name];
    checkRange(operation, name, range, value, `${kind}({ ${name}: 0.1 })`);
  }
  return rule;
}

/** A copy of a checked description, schedules included. Not every host has structuredClone. */
export function copyDescription<T>(value: T): T {
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, copyDescription(part)]),
  ) as T;
}
