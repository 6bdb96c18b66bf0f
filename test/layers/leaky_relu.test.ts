import { describe, expect, test } from "vitest";
import {
  AliasError,
  createRuntimeSync,
  leakyReluBackward,
  leakyReluForward,
} from "../../src/index.ts";
import { dtypes } from "../support/core.ts";
import { golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { reportErrors, values } from "./common.ts";
import { testUnaryLayer } from "./unary.ts";

reportErrors();

const { negativeSlope, ...arrays } = golden("layers").leakyRelu;

testUnaryLayer({
  name: "leaky_relu",
  forward: (x, options) => leakyReluForward(x, { negativeSlope, ...options }),
  backward: leakyReluBackward,
  saves: "x",
  numbers: [negativeSlope],
  twin: {
    forward: (x) => reference.leakyReluForward(x, negativeSlope),
    backward: (dout, x) => reference.leakyReluBackward(dout, x, negativeSlope),
  },
  // The slope's rounding and the product's.
  bounds: { forward: 1, backward: 1 },
  golden: arrays,
});

describe.each(dtypes)("in $dtype", ({ dtype, array }) => {
  const runtime = createRuntimeSync();
  const tensor = (data: number[]) => runtime.tensor(data, [data.length], dtype);
  const hundredth = array.of(0.01)[0]!;

  test("the slope is 0.01 by default, and holds at 0; NaN and signs pass", () => {
    const { out, cache } = leakyReluForward(tensor([-1, 0, -0, 2, NaN, -Infinity]));
    expect(values(out)).toEqual([-hundredth, 0, -0, 2, NaN, -Infinity]);
    expect(cache.negativeSlope).toBe(0.01);
    const dx = leakyReluBackward(tensor(Array(6).fill(1)), cache);
    expect(values(dx)).toEqual([hundredth, hundredth, hundredth, 1, hundredth, hundredth]);
  });

  test("a slope of 0 is ReLU, and one of 1 the identity, in place as well", () => {
    const x = [-2, -0.5, 0.5, 2];
    for (const [negativeSlope, expected] of [
      [0, [-0, -0, 0.5, 2]],
      [1, x],
    ] as const) {
      expect(values(leakyReluForward(tensor(x), { negativeSlope }).out)).toEqual(expected);
      const out = tensor(x);
      leakyReluForward(out, { negativeSlope, out });
      expect(values(out)).toEqual(expected);
    }
  });

  test("a slope below 0 works, but not in place, where the signs would be lost", () => {
    const x = tensor([-2, 3]);
    const { out, cache } = leakyReluForward(x, { negativeSlope: -0.5 });
    expect(values(out)).toEqual([1, 3]);
    expect(values(leakyReluBackward(tensor([1, 1]), cache))).toEqual([-0.5, 1]);
    expect(() => leakyReluForward(x, { negativeSlope: -0.5, out: x })).toThrow(AliasError);
    expect(values(x)).toEqual([-2, 3]);
  });

  test("a slope that is no finite number is a RangeError with its value", () => {
    for (const negativeSlope of [NaN, Infinity, -Infinity, "0.1" as never] as number[]) {
      const shown = typeof negativeSlope === "string" ? '"0.1"' : negativeSlope;
      expect(() => leakyReluForward(tensor([1]), { negativeSlope })).toThrow(
        new RangeError(`leakyReluForward: negativeSlope must be a finite number, got ${shown}`),
      );
    }
  });
});
