// The activations of test/support/activations.ts: each kernel and its calls against the plain twin,
// PyTorch and the exact values, and what each does at its kinks and at the infinities.

import { describe, expect, test } from "vitest";
import * as lamella from "../../src/index.ts";
import { named } from "../../src/nn/engine/kinds.ts";
import { checkUlp } from "../math/ulp.ts";
import { fileOf } from "../nn/every.ts";
import { fixed } from "../numerics/exact.ts";
import { activations, gradientOf } from "../support/activations.ts";
import { dtypes } from "../support/core.ts";
import { golden } from "../support/golden.ts";
import { absolute } from "../support/reference.ts";
import { reportErrors, values } from "./common.ts";
import { testUnaryLayer } from "./unary.ts";

// biome-ignore lint/suspicious/noExplicitAny: calls are made by name here
const api = lamella as any;
const goldens = golden("activations") as unknown as Record<string, never>;

reportErrors();

for (const [kind, row] of Object.entries(activations)) {
  const record = named[kind]!;
  const keepsOut = record.keeps !== "x";
  describe(kind, () => {
    for (const settings of row.settings ?? [{}]) {
      describe(JSON.stringify(settings), () => {
        const filled = Object.fromEntries(
          Object.entries(record.settings ?? {}).map(([name, [, usual]]) => [
            name,
            (settings as Record<string, unknown>)[name] ?? usual,
          ]),
        );
        const isUsual = Object.keys(settings).length === 0;
        testUnaryLayer({
          name: fileOf(kind),
          forward: (x, options) => api[`${kind}Forward`](x, { ...settings, ...options }),
          backward: api[`${kind}Backward`],
          saves: keepsOut ? "out" : "x",
          inPlace: keepsOut,
          numbers: record.values?.(filled, []) ?? [],
          twin: {
            forward: (x) => Array.from(x, (v) => row.forward(v, settings)),
            backward: (dout, kept) =>
              Array.from(dout, (d, i) => gradientOf(row, d, kept[i]!, settings)),
          },
          // Settings are rounded to the dtype as well.
          bounds: { forward: 2 * row.ulp + 1, backward: 8 },
          ...(row.scale && {
            forwardScale: (x, out) =>
              Array.from(out, (v, i) => Math.max(Math.abs(v), row.scale!(x[i]!, settings))),
          }),
          backwardScale: (dout) => absolute(dout).map((d) => row.most * d),
          ...(isUsual && { golden: goldens[kind] as never }),
        });
      });
    }

    checkUlp(
      kind,
      row.ulp,
      api[`${kind}Forward`],
      (x) => ({ digits: row.exact(fixed(x), x), exponent: -512 }),
      {
        float32: [[...row.range.float32], [-2, 2]],
        float64: [[...row.range.float64], [-2, 2]],
      },
    );

    test("refuses settings that its record does not have", () => {
      const runtime = lamella.createRuntimeSync();
      const x = runtime.ones([2]);
      for (const settings of row.wrong ?? []) {
        const [[name, value]] = Object.entries(settings) as [[string, unknown]];
        const shown = typeof value === "string" ? `"${value}"` : value;
        expect(() => api[`${kind}Forward`](x, settings)).toThrow(
          new RangeError(`${kind}Forward: ${name} must be a finite number, got ${shown}`),
        );
        expect(
          () => new lamella.Sequential(runtime, { input: [2], layers: [{ kind, ...settings }] }),
        ).toThrow(`Sequential: layer 0 (${kind}): ${name} must be a finite number, got ${shown}`);
      }
    });
  });
}

/** x as out and as the derivative, which PyTorch has too. */
const cases: [kind: string, x: number, out: number, derivative: number, settings?: object][] = [
  ["silu", Infinity, Infinity, Number.NaN],
  ["silu", -Infinity, Number.NaN, Number.NaN],
  ["hardSwish", -3, -0, -0.5],
  ["hardSwish", 3, 3, 1.5],
  ["hardSwish", Infinity, Infinity, 1],
  ["hardSwish", -Infinity, Number.NaN, 0],
  ["hardSigmoid", -3, 0, 0],
  ["hardSigmoid", 3, 1, 0],
  ["hardSigmoid", Infinity, 1, 0],
  ["hardSigmoid", -Infinity, 0, 0],
  ["relu6", 0, 0, 0],
  ["relu6", -0, 0, 0],
  ["relu6", 6, 6, 0],
  ["relu6", Infinity, 6, 0],
  ["relu6", -Infinity, 0, 0],
  ["elu", 0, 0, 1],
  ["elu", 0, 0, 0.25, { alpha: 0.25 }],
  ["elu", -Infinity, -1, 0],
  ["elu", Infinity, Infinity, 1],
  ["selu", Infinity, Infinity, 1.0507009873554805],
  ["selu", -Infinity, -1.7580993408473766, 0],
  ["selu", 0, 0, 1.7580993408473766],
  ["softplus", Infinity, Infinity, 1],
  ["softplus", -Infinity, 0, 0],
  ["softplus", 1e30, 1e30, 1],
  ["softplus", -1e30, 0, 0],
  ["softsign", 0, 0, 1],
  ["softsign", Infinity, Number.NaN, 0],
  ["softsign", 2 ** 100, 1, 0],
  ["mish", Infinity, Infinity, Number.NaN],
  ["mish", -Infinity, Number.NaN, Number.NaN],
  ["mish", 0, 0, 0.6],
];

describe.each(dtypes)("in $dtype", ({ dtype, array }) => {
  const runtime = lamella.createRuntimeSync();
  const rounded = (value: number) => array.of(value)[0]!;

  test.each(cases)(
    "%s at %d is %d, and its derivative %d",
    (kind, x, out, derivative, settings) => {
      const result = api[`${kind}Forward`](runtime.tensor([x], [1], dtype), settings);
      expect(values(result.out)[0]! + 0).toBe(rounded(out) + 0);
      const dx = api[`${kind}Backward`](runtime.ones([1], dtype), result.cache);
      const tolerance = dtype === "float32" ? 1e-7 : 1e-15;
      if (dtype === "float32" && x === 2 ** 100) return; // 2⁻²⁰⁰ is below the least float32
      const [given] = values(dx) as [number];
      if (Number.isNaN(derivative)) expect(given).toBeNaN();
      else expect(Math.abs(given - derivative)).toBeLessThanOrEqual(2 * tolerance);
    },
  );

  test("NaN goes in and NaN comes out, of every one", () => {
    for (const kind of Object.keys(activations)) {
      const x = runtime.tensor([Number.NaN, 1, 2, Number.NaN, 3], [5], dtype);
      const out = values(api[`${kind}Forward`](x).out);
      expect(out.map(Number.isNaN), kind).toEqual([true, false, false, true, false]);
    }
  });
});
