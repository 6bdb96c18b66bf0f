// Learning rates as functions of the number of steps taken: plain descriptions, so that a
// checkpoint can hold them.

import { show } from "../../runtime/errors.ts";
import { checkRange, count, fromZero } from "../../tensor/numbers.ts";
import { checkSettings } from "../settings.ts";

/** A rate that changes from step to step, as step(), linear(), cosine() and warmup() make it. */
export type Schedule =
  | {
      readonly kind: "step";
      readonly from: number;
      readonly every: number;
      readonly factor: number;
    }
  | {
      readonly kind: "linear" | "cosine";
      readonly from: number;
      readonly to: number;
      readonly steps: number;
    }
  | { readonly kind: "warmup"; readonly steps: number; readonly after: LearningRate };

const line = ["from", "to", "steps"];
const keysOf: Readonly<Record<Schedule["kind"], readonly string[]>> = {
  step: ["from", "every", "factor"],
  linear: line,
  cosine: line,
  warmup: ["steps", "after"],
};

/** One rate throughout, or a schedule. Steps count from 0, over all epochs. */
export type LearningRate = number | Schedule;

/** from · factor^⌊t / every⌋: times factor after every so many steps. */
export function step(options: { from: number; every: number; factor: number }): Schedule {
  checkSettings("step", "options", options, keysOf.step, true);
  return { ...options, kind: "step" };
}

/**
 * The rate goes in a straight line from `from` to `to` (default 0) over so many steps, and `to`
 * from there on.
 */
export function linear(options: { from: number; to?: number; steps: number }): Schedule {
  checkSettings("linear", "options", options, keysOf.linear, true);
  const { from, to = 0, steps } = options;
  return { kind: "linear", from, to, steps };
}

/**
 * to + (from − to) · (1 + cos(π t / steps)) / 2, and `to` (default 0) from there on. Loshchilov and
 * Hutter, "SGDR", 2017, arXiv:1608.03983.
 */
export function cosine(options: { from: number; to?: number; steps: number }): Schedule {
  checkSettings("cosine", "options", options, keysOf.cosine, true);
  const { from, to = 0, steps } = options;
  return { kind: "cosine", from, to, steps };
}

/**
 * For this many steps the rate is (t + 1) / steps of the rate with which `after` begins; then it is
 * that of `after`, from its beginning.
 */
export function warmup(options: { steps: number; after: LearningRate }): Schedule {
  checkSettings("warmup", "options", options, keysOf.warmup, true);
  return { ...options, kind: "warmup" };
}

/** The rate of step t; cos is the core's, the same in every engine. */
export function rateAt(rate: LearningRate, t: number, cos: (x: number) => number): number {
  if (typeof rate === "number") return rate;
  if (rate.kind === "warmup") {
    const { steps, after } = rate;
    return t < steps ? (rateAt(after, 0, cos) * (t + 1)) / steps : rateAt(after, t - steps, cos);
  }
  if (rate.kind === "step") {
    let { from: value, factor } = rate;
    // The power is computed by squaring, as a checkpoint may claim any number of steps. 0 stays 0,
    // where a power that is infinite would make it NaN.
    for (let k = Math.floor(t / rate.every); k > 0 && value !== 0; k = Math.floor(k / 2)) {
      if (k % 2 === 1) value *= factor;
      factor *= factor;
    }
    return value;
  }
  const { kind, from, to, steps } = rate;
  if (t >= steps) return to;
  const left = kind === "linear" ? 1 - t / steps : (1 + cos((Math.PI * t) / steps)) / 2;
  return to + (from - to) * left;
}

const MOST_WARMUPS = 8;

/**
 * Refuses what is neither a rate of 0 or more nor a schedule of such.
 * @param of the call that has the rate, for what the message shows: "adam"
 */
export function checkRate(operation: string, name: string, rate: unknown, of: string): void {
  const number = (place: string, value: unknown, by: unknown, range = fromZero) => {
    const key = place.slice(place.lastIndexOf(".") + 1);
    checkRange(operation, place, range, value, `${by}({ …, ${key}: 0.1 })`);
  };
  const { kind, from, to, steps, every, factor, after } = (rate ?? {}) as Record<string, unknown>;
  if (kind === undefined) {
    number(name, rate, of, { ...fromZero, expected: `${fromZero.expected}, or a schedule` });
    return;
  }
  const whole = (key: string, value: unknown) =>
    checkRange(operation, `${name}.${key}`, count, value, `${kind}({ …, ${key}: 100 })`);
  if (typeof kind === "string" && Object.hasOwn(keysOf, kind)) {
    checkSettings(operation, name, rate, ["kind", ...keysOf[kind as Schedule["kind"]]]);
  }
  if (kind === "warmup") {
    // The name has one part for each warmup around this one; one that holds itself has no end.
    if (name.split(".").length > MOST_WARMUPS) {
      throw new RangeError(`${operation}: warmups are nested more than ${MOST_WARMUPS} deep`);
    }
    whole("steps", steps);
    checkRate(operation, `${name}.after`, after, kind);
    return;
  }
  if (kind !== "step" && kind !== "linear" && kind !== "cosine") {
    throw new RangeError(
      `${operation}: ${name} must be a number or a schedule, got kind ${show(kind)}`,
    );
  }
  number(`${name}.from`, from, kind);
  if (kind === "step") {
    whole("every", every);
    number(`${name}.factor`, factor, kind);
  } else {
    whole("steps", steps);
    number(`${name}.to`, to, kind);
  }
}
