// Models over images and sequences: their gradients, what serves them, and their files.

import { describe, expect, test } from "vitest";
import {
  augment,
  avgPool2d,
  conv1d,
  conv2d,
  createRuntimeSync,
  groupnorm,
  type LayerSpec,
  layernorm,
  loadModel,
  maxPool2d,
  momentum,
  permute,
  reshape,
  Sequential,
  saveModel,
  Trainer,
  upsample2d,
  zeroPad2d,
} from "../../src/index.ts";
import { loadPredictorSync } from "../../src/predict.ts";
import * as twins from "../support/reference.ts";
import { type Net, nets } from "./image_networks.ts";
import { settle } from "./networks.ts";

const runtime = createRuntimeSync();

const names = Object.keys(nets);
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
/** Distinct numbers in [−1, 1), so that no two values of a window are equal. */
const numbers = (n: number) =>
  Float64Array.from({ length: n }, (_, i) => ((i * 0.6180339) % 1) * 2 - 1);

function modelOf<D extends "float32" | "float64">(name: string, dtype: D, seed = 3) {
  const { input, layers } = nets[name] as Net;
  return new Sequential(runtime, { input, layers: layers(), dtype, seed });
}

describe.each(names)("%s", (name) => {
  const { input, output } = nets[name] as Net;
  const N = 3;

  test("has the output's shape, and the numeric gradients", () => {
    const model = modelOf(name, "float64");
    settle(model);
    expect(model.output).toEqual(output);
    const x = runtime.tensor(numbers(N * sizeOf(input)), [N, ...input]);
    const weights = numbers(N * sizeOf(output)).map((value) => value + 1.5);
    const weighted = () => {
      const scores = model.forward(x, { mode: "test" });
      const sum = scores.toTypedArray().reduce((sum, score, i) => sum + score * weights[i]!, 0);
      scores.dispose();
      return sum;
    };
    weighted();
    const { dx } = model.backward(runtime.tensor(weights, [N, ...output]), { dx: true });
    const variables = [
      ...model.parameters().map(({ name, value, gradient }) => ({
        ...{ name, value, gradient: gradient.toTypedArray() },
      })),
      { name: "x", value: x, gradient: dx.toTypedArray() },
    ];
    for (const { name, value, gradient } of variables) {
      // Every element of a small tensor, and some of a large one.
      const step = Math.ceil(gradient.length / 40);
      for (let k = 0; k < gradient.length; k += step) {
        const before = value.data[k]!;
        const [up, down] = [1e-5, -1e-5].map((h) => {
          value.data[k] = before + h;
          return weighted();
        });
        value.data[k] = before;
        const numeric = (up! - down!) / 2e-5;
        const scale = Math.max(1, Math.abs(numeric));
        // central differences of h = 1e-5 in float64
        expect(Math.abs(numeric - gradient[k]!) / scale, `${name}[${k}]`).toBeLessThan(1e-6);
      }
    }
    model.dispose();
  });

  test("is served as the model computes it, from a file too, in batches of any size", () => {
    const model = modelOf(name, "float32");
    settle(model);
    const bytes = saveModel(model);
    const again = loadModel(runtime, bytes);
    const compiled = model.compile({ maxBatch: 4 });
    const loaded = loadPredictorSync(bytes, { maxBatch: 4 });
    for (let n = 1; n <= 4; n++) {
      const x = Float32Array.from(numbers(n * sizeOf(input)));
      const expected = model.predict(x).toTypedArray();
      expect(again.predict(x).toTypedArray()).toEqual(expected);
      const served = compiled.predict(x);
      expect(loaded.predict(x)).toEqual(served);
      const scale = Math.max(1, ...expected.map(Math.abs));
      // Folded in float64 and rounded once, where the model rounds after each step.
      served.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!) / scale).toBeLessThan(1e-5);
      });
    }
    for (const each of [model, again, compiled, loaded]) each.dispose();
  });

  test("learns, and goes on from a checkpoint with the same bits", () => {
    const train = (trainer: Trainer, steps: number) => {
      for (let i = 0; i < steps; i++) trainer.step(numbers(N * sizeOf(input)), targets);
    };
    const targets = numbers(N * sizeOf(output));
    const model = modelOf(name, "float32");
    const trainer = new Trainer(model, {
      loss: "mse",
      optimizer: momentum({ learningRate: 0.01 }),
    });
    train(trainer, 3);
    const resumed = Trainer.resume(runtime, trainer.checkpoint());
    train(trainer, 3);
    train(resumed, 3);
    for (const [key, value] of Object.entries(model.stateDict())) {
      expect(resumed.model.stateDict()[key]!.toTypedArray(), key).toEqual(value.toTypedArray());
    }
  });
});

test("a convolution is the plain sum, and its operands stand as the files have them", () => {
  const model = new Sequential(runtime, {
    ...{ input: [5, 4, 3], dtype: "float64", seed: 1 },
    layers: [
      conv2d(2, [3, 2], { stride: [2, 1], padding: { top: 1, left: 0, bottom: 0, right: 1 } }),
    ],
  });
  const { "0.weight": w, "0.bias": b } = model.stateDict();
  expect(w!.shape).toEqual([3, 2, 3, 2]);
  b!.data.set([0.5, -0.25]);
  const x = numbers(2 * 60);
  const window = {
    ...{ H: 5, W: 4, C: 3, OH: 2, OW: 4, F: 2, KH: 3, KW: 2, SH: 2, SW: 1, top: 1, left: 0 },
    ...{ DH: 1, DW: 1, groups: 1 },
  };
  const expected = twins.conv2dForward(x, w!.data, b!.data, window, 2);
  const scores = model.predict(x);
  expect(scores.shape).toEqual([2, 2, 4, 2]);
  scores.toTypedArray().forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 12);
  });
});

test.each<[string, readonly number[], LayerSpec, string]>([
  ["a flat example", [784], conv2d(4, 3), "takes examples of shape (H, W, C), got (784,)"],
  [
    "an image for a sequence",
    [4, 4, 1],
    conv1d(4, 3),
    "takes examples of shape (L, C), got (4, 4, 1)",
  ],
  [
    "groups that do not fit",
    [4, 4, 3],
    conv2d(4, 3, { groups: 2 }),
    "groups must divide the 3 channels and the 4 filters, got 2",
  ],
  [
    "a kernel larger than the padded image",
    [4, 4, 1],
    conv2d(4, 7, { padding: 1 }),
    "a window of 7 × 7 does not fit an image of 6 × 6 with its padding: no pixel comes out",
  ],
  [
    "an average of padding alone",
    [2, 2, 1],
    avgPool2d(1, { padding: 1 }),
    "lies in the padding alone",
  ],
  [
    "channels that groups do not divide",
    [4, 4, 6],
    groupnorm({ groups: 4 }),
    "groups must divide the 6 channels, got 4",
  ],
  ["padded features", [9], zeroPad2d(1), "takes examples of shape (H, W, C), got (9,)"],
  ["features made larger", [9], upsample2d(2), "takes examples of shape (H, W, C), got (9,)"],
  [
    "an image that is too large",
    [4, 4, 1],
    upsample2d(2 ** 29),
    "an image of 2147483648 × 2147483648 that comes out is too large",
  ],
  [
    "an order of other axes",
    [4, 4],
    permute([2, 0, 1]),
    "order is [2,0,1] but an example has shape (4, 4)",
  ],
  [
    "a shape of more elements",
    [4, 4],
    reshape([3, 5]),
    "shape (3, 5) does not have the 16 elements of (4, 4)",
  ],
  [
    "an open shape that leaves a rest",
    [4, 4],
    reshape([3, -1]),
    "shape (3, -1) does not have the 16 elements of (4, 4)",
  ],
  ["augmented features", [9], augment({ shift: 1 }), "takes examples of shape (H, W, C), got (9,)"],
])("%s is refused with its numbers", (_, input, layer, message) => {
  const { tensors } = runtime.memory;
  const make = () => new Sequential(runtime, { input, layers: [layer] });
  expect(make).toThrow(`Sequential: layer 0 (${layer.kind}): `);
  expect(make).toThrow(message);
  expect(runtime.memory.tensors).toBe(tensors);
});

test.each<[string, () => unknown, string]>([
  [
    "stride 0",
    () => conv2d(4, 3, { stride: 0 }),
    "stride must be a whole number from 1 up, or [height, width] of such, got 0",
  ],
  [
    "a padding of words",
    () => conv2d(4, 3, { padding: "full" as never }),
    'padding must be "same", "valid" or whole numbers from 0 up, got "full"',
  ],
  ["a kernel of three sizes", () => maxPool2d([2, 2, 2] as never), "kernel must be"],
  ["groups of none", () => groupnorm({ groups: 0 }), "groups must be a whole number from 1 up"],
  [
    "no groups",
    () => groupnorm({} as never),
    "groups must be a whole number from 1 up, got undefined",
  ],
  ["an eps of 0", () => layernorm({ eps: 0 }), "eps must be above 0, got 0"],
  [
    "zeros for windows that nobody has",
    () => zeroPad2d("same" as never),
    'padding must be whole numbers from 0 up, got "same"',
  ],
  ["a negative padding", () => zeroPad2d(-1), "padding must be whole numbers from 0 up, got -1"],
  ["no padding", () => (zeroPad2d as () => LayerSpec)(), "padding must be whole numbers from 0 up"],
  ["blocks of half a pixel", () => upsample2d(0.5), "scale must be a whole number from 1 up"],
  ["an axis twice", () => permute([0, 1, 1]), "order must be the axes of an example from 0 up"],
  ["an order without the first axis", () => permute([1, 2, 3]), "each of them once, got"],
  ["no order", () => permute([]), "order must be the axes of an example"],
  ["a shape of no elements", () => reshape([8, 0]), "one of which may be −1, got"],
  ["two open lengths", () => reshape([-1, -1]), "shape must be an array of whole numbers from 1"],
  ["half a filter", () => conv2d(1.5, 3), "filters must be a whole number from 1 up, got 1.5"],
])("%s is a RangeError that names the setting", (_, describe, message) => {
  const make = () =>
    new Sequential(runtime, { input: [8, 8, 2], layers: [describe() as LayerSpec] });
  expect(make).toThrow(RangeError);
  expect(make).toThrow(message);
});

test.each<[string, readonly number[], () => LayerSpec[]]>([
  ["layer normalisation", [3, 17], () => [layernorm(), layernorm({ eps: 0.5 })]],
  ["group normalisation", [3, 2, 6], () => [groupnorm({ groups: 2 }), groupnorm({ groups: 6 })]],
  ["zero padding", [3, 2, 5], () => [zeroPad2d([2, 1]), zeroPad2d(0)]],
  ["upsampling", [3, 2, 5], () => [upsample2d([1, 3]), upsample2d(2)]],
  ["a permutation", [3, 2, 5], () => [permute([2, 1, 0]), permute([0, 2, 1]), reshape([5, -1])]],
])("%s is served with the bits of the model, on any batch", (_, input, layers) => {
  const model = new Sequential(runtime, { input, layers: layers(), seed: 2 });
  settle(model, 1);
  const predictor = model.compile({ maxBatch: 5 });
  for (const n of [5, 1, 3, 0]) {
    const x = Float32Array.from(numbers(n * sizeOf(input)));
    expect(predictor.predict(x)).toEqual(model.predict(x).toTypedArray());
  }
});

test("what moves puts every value where the shapes say", () => {
  const model = new Sequential(runtime, {
    ...{ input: [2, 3, 2], dtype: "float64" },
    layers: [
      permute([2, 0, 1]),
      zeroPad2d({ top: 1, left: 0, bottom: 0, right: 2 }),
      upsample2d([2, 1]),
    ],
  });
  expect(model.output).toEqual([6, 4, 3]);
  const x = numbers(24);
  const out = model.predict(x).toTypedArray();
  // (2, 3, 2) → (2, 2, 3) → (3, 4, 3) → (6, 4, 3)
  for (let n = 0; n < 2; n++) {
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j < 4; j++) {
        for (let c = 0; c < 3; c++) {
          const [channel, row] = [(i >> 1) - 1, j];
          const isInside = channel >= 0 && row < 2;
          const value = isInside ? x[((n * 2 + row) * 3 + c) * 2 + channel]! : 0;
          expect(out[((n * 6 + i) * 4 + j) * 3 + c]).toBe(value);
        }
      }
    }
  }
});

describe("augment", () => {
  const image = Float32Array.from({ length: 25 }, (_, i) => i + 1);
  const passed = (options: Parameters<typeof augment>[0], seed: number, mode: "train" | "test") => {
    const model = new Sequential(runtime, { input: [5, 5, 1], layers: [augment(options)], seed });
    const out = model.forward(image, { mode }).toTypedArray();
    model.dispose();
    return out;
  };

  test("leaves images alone in test mode, and where nothing is asked of it", () => {
    expect(passed({ shift: 2, rotate: 30, crop: 0.4, flip: true }, 1, "test")).toEqual(image);
    expect(passed({}, 1, "train")).toEqual(image);
  });

  test("a shift and a flip move pixels without a change of a bit, and every one of them is drawn", () => {
    const found = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      const out = passed({ shift: 1, flip: true }, seed, "train");
      const matches = [-1, 0, 1].flatMap((down) =>
        [-1, 0, 1].flatMap((right) =>
          [false, true].flatMap((flip) => {
            const moved = image.map((_, k) => {
              const [i, j] = [Math.floor(k / 5) + down, (flip ? 4 - (k % 5) : k % 5) + right];
              return i >= 0 && i < 5 && j >= 0 && j < 5 ? image[i * 5 + j]! : 0;
            });
            return moved.every((value, k) => value === out[k]) ? [`${down} ${right} ${flip}`] : [];
          }),
        ),
      );
      expect(matches).toHaveLength(1);
      found.add(matches[0]!);
    }
    expect(found.size).toBe(18);
  });

  test("a rotation turns about the middle, which stays, by no more than it is told", () => {
    for (let seed = 0; seed < 20; seed++) {
      const out = passed({ rotate: 10 }, seed, "train");
      expect(out[12]).toBe(13);
      // A pixel beside the middle moves by less than sin(10°) of a pixel.
      expect(Math.abs(out[13]! - 14)).toBeLessThan(0.1737 * 5 + 0.0152);
    }
  });

  test("each example of each pass has a draw of its own, and a seed has its own draws", () => {
    const model = new Sequential(runtime, {
      input: [5, 5, 1],
      layers: [augment({ rotate: 45 })],
      seed: 7,
    });
    const x = runtime.tensor([...image, ...image], [2, 5, 5, 1]);
    const [first, second] = [0, 1].map(() => model.forward(x, { mode: "train" }).toTypedArray());
    expect(first!.slice(0, 25)).not.toEqual(first!.slice(25));
    expect(second).not.toEqual(first);
    expect(passed({ rotate: 45 }, 7, "train")).toEqual(first!.slice(0, 25));
    expect(passed({ rotate: 45 }, 8, "train")).not.toEqual(first!.slice(0, 25));
  });

  test("gives back to a pixel what it gave", () => {
    const model = new Sequential(runtime, {
      ...{ input: [4, 3, 2], dtype: "float64", seed: 5 },
      layers: [augment({ rotate: 40, crop: 0.3, shift: 1, flip: true })],
    });
    const [x, dout] = [numbers(48), numbers(48).reverse()];
    const out = model.forward(runtime.tensor(x, [2, 4, 3, 2]), { mode: "train" }).toTypedArray();
    const { dx } = model.backward(runtime.tensor(dout, [2, 4, 3, 2]), { dx: true });
    // The map is linear: dout · out(x) = dx · x.
    const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
    expect(dot(dout, out)).toBeCloseTo(dot(dx.toTypedArray(), x), 12);
  });
});
