import { describe, expect, test } from "vitest";
import { bceWithLogitsLoss, createRuntimeSync } from "../../src/index.ts";
import { reportErrors, track, values } from "../layers/common.ts";
import { dtypes } from "../support/core.ts";
import { golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { testTargetLoss } from "./targets.ts";

reportErrors();

testTargetLoss({
  name: "bce_with_logits_loss",
  loss: bceWithLogitsLoss,
  twin: reference.bceWithLogitsLoss,
  golden: golden("layers").bce,
});

describe.each(dtypes)("in $dtype", ({ dtype, epsilon }) => {
  const runtime = createRuntimeSync();
  const one = (x: number, y: number) => {
    const tensor = (value: number) => runtime.tensor([value], [1], dtype);
    const { loss, dx } = bceWithLogitsLoss(tensor(x), tensor(y));
    return { loss, dx: dx.item() };
  };

  test("a score of 0 costs log 2, whatever the target", () => {
    for (const y of [0, 0.25, 1]) {
      const { loss, dx } = one(0, y);
      expect(Math.abs(loss - Math.LN2)).toBeLessThan(3e-16);
      expect(dx).toBe(0.5 - y);
    }
  });

  test("scores of ±1e4 lose nothing", () => {
    expect(one(1e4, 1)).toEqual({ loss: 0, dx: 0 });
    expect(one(-1e4, 0)).toEqual({ loss: 0, dx: 0 });
    expect(one(1e4, 0)).toEqual({ loss: 1e4, dx: 1 });
    expect(one(-1e4, 1)).toEqual({ loss: 1e4, dx: -1 });
  });

  test("where the score is right and large, loss and gradient keep their digits", () => {
    for (const x of [1, 2, 5, 20, 50, 80]) {
      const e = Math.exp(-x);
      for (const [score, target, sign] of [
        [x, 1, -1],
        [-x, 0, 1],
      ] as const) {
        const { loss, dx } = one(score, target);
        const error = reference.deviation([loss], [Math.log1p(e)]);
        // float64 for either
        expect(track(`bce ${dtype}: small losses`, error)).toBeLessThan(1e-15);
        // Math.exp's own ULP, and the result's rounding.
        expect(reference.deviation([dx], [(sign * e) / (1 + e)])).toBeLessThan(2 * epsilon);
      }
    }
  });

  test("NaN and infinities follow IEEE 754", () => {
    expect(one(NaN, 1)).toEqual({ loss: NaN, dx: NaN });
    expect(one(Infinity, 0.5)).toEqual({ loss: NaN, dx: 0.5 }); // ∞ − ∞
    expect(one(-Infinity, 0.5)).toEqual({ loss: Infinity, dx: -0.5 });
    expect(one(Infinity, 0).loss).toBe(NaN); // ∞ · 0, as by the formula in NumPy
  });

  test("swapping the sign of the scores and the targets' sides changes the loss in nothing", () => {
    const x = [-3, -0.5, 0, 0.25, 7];
    const y = [0, 1, 0.5, 0.25, 1];
    const tensor = (data: number[]) => runtime.tensor(data, [5], dtype);
    const plain = bceWithLogitsLoss(tensor(x), tensor(y));
    const mirrored = bceWithLogitsLoss(tensor(x.map((v) => -v)), tensor(y.map((v) => 1 - v)));
    expect(mirrored.loss).toBe(plain.loss);
    expect(values(mirrored.dx)).toEqual(values(plain.dx).map((v) => 0 - v));
  });
});
