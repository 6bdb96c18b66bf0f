// A layer may write its output where its input is. What the layer before it still needs for its
// backward pass has to survive that, whichever two layers stand in a row.

import { describe, expect, test } from "vitest";
import { affine, createRuntimeSync, Sequential } from "../../src/index.ts";
import { layers, flat as names } from "./every.ts";

const runtime = createRuntimeSync();

describe("the gradients are the numeric ones, whichever layers follow each other", () => {
  test.each(names.flatMap((a) => names.map((b) => [a, b])))("%s, %s", (a, b) => {
    for (const c of names) {
      const specs = [affine(5), layers[a]!(), layers[b]!(), layers[c]!(), affine(2)];
      const model = new Sequential(runtime, {
        input: [4],
        layers: specs,
        dtype: "float64",
        seed: 3,
      });
      const x = runtime.tensor(
        Array.from({ length: 12 }, (_, i) => ((i * 7) % 11) / 5 - 1),
        [3, 4],
        "float64",
      );
      const weighted = () => {
        const scores = model.forward(x, { mode: "test" });
        return scores.toTypedArray().reduce((sum, score, i) => sum + score * (i + 1), 0);
      };
      weighted();
      model.backward(runtime.tensor([1, 2, 3, 4, 5, 6], [3, 2], "float64"));
      const [weight] = model.parameters();
      const analytic = weight!.gradient.toTypedArray();
      for (const [k, gradient] of analytic.entries()) {
        const value = weight!.value.data[k]!;
        const [up, down] = [1e-6, -1e-6].map((h) => {
          weight!.value.data[k] = value + h;
          return weighted();
        });
        weight!.value.data[k] = value;
        expect(
          Math.abs((up! - down!) / 2e-6 - gradient),
          `${a}, ${b}, ${c}: weight ${k}`,
        ).toBeLessThan(
          1e-6, // central differences of h = 1e-6 in float64
        );
      }
      model.dispose();
    }
  });
});
