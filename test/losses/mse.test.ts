import { describe, expect, test } from "vitest";
import { createRuntimeSync, mseLoss } from "../../src/index.ts";
import { reportErrors, values } from "../layers/common.ts";
import { dtypes } from "../support/core.ts";
import { golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { testTargetLoss } from "./targets.ts";

reportErrors();

testTargetLoss({
  name: "mse_loss",
  loss: mseLoss,
  twin: reference.mseLoss,
  golden: golden("layers").mse,
});

describe.each(dtypes)("in $dtype", ({ dtype }) => {
  const runtime = createRuntimeSync();
  const tensor = (data: number[]) => runtime.tensor(data, [data.length], dtype);

  test("is 0 with no gradient where x is y", () => {
    const x = tensor([1, -2, 3]);
    const { loss, dx } = mseLoss(x, tensor([1, -2, 3]));
    expect([loss, ...values(dx)]).toEqual([0, 0, 0, 0]);
  });

  test("squares that overflow the dtype are float64 all the same", () => {
    const { loss, dx } = mseLoss(tensor([2 ** 100, 0]), tensor([0, 0]));
    expect(loss).toBe(2 ** 199);
    expect(values(dx)).toEqual([2 ** 100, 0]);
  });

  test("NaN and infinities follow IEEE 754", () => {
    expect(mseLoss(tensor([Infinity]), tensor([Infinity])).loss).toBe(NaN);
    expect(mseLoss(tensor([Infinity]), tensor([0])).loss).toBe(Infinity);
    expect(mseLoss(tensor([1]), tensor([NaN])).loss).toBe(NaN);
  });
});
