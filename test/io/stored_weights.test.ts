// How a file stores the weights of products, and what is computed with them.

import { describe, expect, test } from "vitest";
import {
  affine,
  batchnorm,
  createRuntimeSync,
  FormatError,
  loadModel,
  readSafetensors,
  relu,
  type SafetensorsData,
  type SafetensorsEntry,
  Sequential,
  saveModel,
  sgd,
  type Tensor,
  Trainer,
  writeSafetensors,
} from "../../src/index.ts";
import { float16sOf } from "../../src/io/float16.ts";
import { loadPredictorSync } from "../../src/predict.ts";
import { examples, networks, settle } from "../nn/networks.ts";
import { seeded } from "../support/core.ts";
import { half } from "./twin.ts";

const runtime = createRuntimeSync();
const types = ["float32", "float16", "int8"] as const;
const dtypes = ["float32", "float64"] as const;

/**
 * The half of two that is even, or the even of two integers as near, by searching and comparing.
 */
function nearestHalf(value: number, halves: readonly number[]): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  let [low, high] = [0, halves.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((halves[middle] as number) < size) low = middle + 1;
    else high = middle;
  }
  // Both differences are exact: the neighbours have 11 bits.
  const above = (halves[low] as number) - size;
  const below = low > 0 ? size - (halves[low - 1] as number) : Infinity;
  const isBelow = below < above || (below === above && low % 2 === 1);
  return sign | (isBelow ? low - 1 : low);
}

describe("float16", () => {
  // 65,536 stands where infinity is, as for rounding it does.
  const halves = Array.from({ length: 0x7c01 }, (_, bits) =>
    bits === 0x7c00 ? 65536 : half(bits, 5),
  );

  test("of all 65,536 float16s is itself, but for the payloads of NaN", () => {
    const values = Array.from({ length: 65536 }, (_, bits) => half(bits, 5));
    const stored = float16sOf(values);
    for (const [bits, value] of values.entries()) {
      if (stored[bits] !== (Number.isNaN(value) ? 0x7e00 : bits)) {
        expect([value, stored[bits]]).toEqual([value, bits]);
      }
    }
  });

  test("is the nearest, and the even one of two as near: midpoints, their neighbours, and 100,000 of any size", () => {
    const random = seeded(8);
    const values: number[] = [
      0,
      -0,
      Infinity,
      -Infinity,
      Number.NaN,
      1e300,
      5e-324,
      65519.99,
      65520,
    ];
    for (let bits = 0; bits < 0x7c00; bits += 7) {
      const middle = ((halves[bits] as number) + (halves[bits + 1] as number)) / 2;
      values.push(middle, middle * (1 + 2 ** -52), middle * (1 - 2 ** -53), -middle);
    }
    for (let i = 0; i < 100_000; i++) {
      const value = (random() - 0.5) * 2 ** Math.floor(60 * random() - 40);
      values.push(i % 2 ? value : Math.fround(value));
    }
    const stored = float16sOf(values);
    for (const [i, value] of values.entries()) {
      const expected = nearestHalf(Math.sign(value) * Math.min(Math.abs(value), 65536), halves);
      const due = Object.is(value, -0) ? 0x8000 : expected;
      if (stored[i] !== due) expect([value, stored[i]]).toEqual([value, due]);
    }
  });
});

/** Numbers as a float64 array. */
const numbersOf = (file: Map<string, SafetensorsEntry>, name: string) =>
  (file.get(name) as SafetensorsEntry).toTypedArray("float64");

const first = (model: Pick<Sequential<"float32" | "float64">, "parameters">) =>
  model.parameters()[0]?.value as Tensor;

const layers = [affine(9), batchnorm(), relu(), affine(5, { useBias: false }), affine(3)];
function trained(dtype: "float32" | "float64") {
  const model = new Sequential(runtime, { input: [7], layers, dtype, seed: 4 });
  settle(model);
  return model;
}

describe.each(dtypes)("a %s model", (dtype) => {
  const model = trained(dtype);
  const plain = readSafetensors(saveModel(model));
  const products = ["0.weight", "3.weight", "4.weight"];

  test.each(types)("as %s keeps all but the weights of products as they are", (weights) => {
    const { tensors, metadata } = readSafetensors(saveModel(model, { weights }));
    const stored = { float32: "F32", float16: "F16", int8: "I8" }[weights];
    const scales = weights === "int8" ? products.map((name) => `${name}_scale`) : [];
    expect([...tensors.keys()].sort()).toEqual([...plain.tensors.keys(), ...scales].sort());
    for (const [name, { shape, dtype, data }] of plain.tensors) {
      const entry = tensors.get(name) as SafetensorsEntry;
      expect(entry.shape).toEqual(shape);
      const isProduct = products.includes(name);
      expect([name, entry.dtype]).toEqual([name, isProduct ? stored : dtype]);
      if (!isProduct) expect(entry.data).toEqual(data);
    }
    // What version 1 can express has it, and all else in the metadata is the same.
    const version = weights === "int8" ? "2" : "1";
    expect(metadata).toEqual(new Map([...plain.metadata, ["version", version]]));
    expect(JSON.parse(metadata.get("architecture") as string).dtype).toBe(dtype);
  });

  test("as int8 has the integers nearest to w / scale, and max|w| / 127 of each column as its scale", () => {
    const { tensors } = readSafetensors(saveModel(model, { weights: "int8" }));
    for (const name of products) {
      const w = numbersOf(plain.tensors, name);
      const { shape } = plain.tensors.get(name) as SafetensorsEntry;
      const [D, M] = shape as [number, number];
      const q = numbersOf(tensors, name);
      const scales = numbersOf(tensors, `${name}_scale`);
      expect(tensors.get(`${name}_scale`)?.shape).toEqual([M]);
      for (let j = 0; j < M; j++) {
        const column = Array.from({ length: D }, (_, d) => w[d * M + j] as number);
        const scale = Math.fround(Math.max(...column.map(Math.abs)) / 127);
        expect(scales[j]).toBe(scale);
        for (const [d, value] of column.entries()) {
          const integer = q[d * M + j] as number;
          expect(Math.abs(integer)).toBeLessThanOrEqual(127);
          // Half a step, and what the scale's rounding to float32 makes of 127 of them.
          expect(Math.abs(value - scale * integer)).toBeLessThanOrEqual(
            scale * (0.5 + 127 * 2 ** -24),
          );
        }
        expect(Math.max(...column.map((_, d) => Math.abs(q[d * M + j] as number)))).toBe(127);
      }
    }
  });

  test.each(types)("from %s weights has those numbers, rounded once to its dtype", (weights) => {
    const bytes = saveModel(model, { weights });
    const { tensors } = readSafetensors(bytes);
    const loaded = loadModel(runtime, bytes);
    expect(loaded.dtype).toBe(dtype);
    for (const { name, value } of loaded.parameters()) {
      const stored = numbersOf(tensors, name);
      const scales = tensors.has(`${name}_scale`) ? numbersOf(tensors, `${name}_scale`) : [1];
      const expected = stored.map((q, i) => q * (scales[i % scales.length] as number));
      expect(Array.from(value.data)).toEqual(
        Array.from(dtype === "float32" ? Float32Array.from(expected) : expected),
      );
    }
    // It is a model as any other: it is trained on, and saved.
    const trainer = new Trainer(loaded, { loss: "softmax", optimizer: sgd() });
    trainer.step(examples(4, 7), [0, 1, 2, 0]);
    expect(readSafetensors(saveModel(loaded)).tensors.get("0.weight")?.dtype).toBe(
      dtype === "float32" ? "F32" : "F64",
    );
    trainer.dispose();
    loaded.dispose();
  });
});

test("halves of a step become the even integer", () => {
  const model = new Sequential(runtime, { input: [6], layers: [affine(1)] });
  const { data } = first(model);
  data.set([127, 0.5, 1.5, 2.5, -0.5, -3.5]);
  const { tensors } = readSafetensors(saveModel(model, { weights: "int8" }));
  expect([...numbersOf(tensors, "0.weight")].map((q) => q + 0)).toEqual([127, 0, 2, 2, 0, -4]);
});

test("columns of zeros, of the smallest numbers and of the greatest are stored, as finite numbers", () => {
  for (const dtype of dtypes) {
    const model = new Sequential(runtime, { input: [2], layers: [affine(4)], dtype });
    const { data } = first(model);
    const smallest = dtype === "float32" ? 2 ** -149 : 5e-324;
    data.set([0, smallest, 3.4e38, 200 * 2 ** -149, -0, 0, -3.4e38, -70 * 2 ** -149]);
    const loaded = loadModel(runtime, saveModel(model, { weights: "int8" }));
    const back = first(loaded);
    for (const [i, number] of Array.from(back.data).entries()) {
      const w = data[i] as number;
      // Half a step of 255 for the greatest; scales of the smallest numbers are off by as much as
      // they are.
      expect(Math.abs(number - w)).toBeLessThanOrEqual(
        Math.max(Math.abs(w) / 250, 128 * 2 ** -149),
      );
    }
    model.dispose();
    loaded.dispose();
  }
});

describe.each(Object.entries(networks))("%s", (_name, { input, layers }) => {
  const size = input.reduce((a, b) => a * b, 1);
  const brief = (bytes: Uint8Array<ArrayBuffer>) => {
    const { tensors, metadata } = readSafetensors(bytes);
    const narrow = [...tensors].map(([name, entry]): [string, SafetensorsData] => {
      const bits = new Uint32Array(entry.toTypedArray("float32").buffer as ArrayBuffer);
      return [
        name,
        { dtype: "BF16", shape: entry.shape, data: Uint16Array.from(bits, (b) => b >>> 16) },
      ];
    });
    return writeSafetensors(narrow, metadata);
  };

  test.each(dtypes)(
    "gives the scores of loadModel, to the bit, however a %s model is stored",
    (dtype) => {
      const model = new Sequential(runtime, { input, layers, dtype, seed: 3 });
      settle(model);
      const x = Float32Array.from(examples(5, size, 2));
      const files = [
        ...types.map((weights) => saveModel(model, { weights })),
        brief(saveModel(model)),
      ];
      for (const bytes of files) {
        const loaded = loadModel(runtime, bytes);
        // A float64 model is served in float32.
        const own = loaded.compile({ maxBatch: 5 }).predict(x);
        const scores = loadPredictorSync(bytes, { maxBatch: 5 }).predict(x);
        if (dtype === "float32") expect(scores).toEqual(own);
        const largest = Math.max(1, ...Array.from(own, Math.abs));
        // Up to 20 layers of float32 products of up to 40 terms.
        for (const [i, score] of Array.from(own).entries()) {
          expect(Math.abs((scores[i] as number) - score)).toBeLessThanOrEqual(1e-4 * largest);
        }
        loaded.dispose();
      }
      model.dispose();
    },
  );
});

describe("weights that a type does not hold are refused, and nothing changes", () => {
  const model = new Sequential(runtime, { input: [3], layers: [affine(2)], dtype: "float64" });
  const [value, bias] = model.parameters().map((parameter) => parameter.value) as [Tensor, Tensor];
  test.each([
    ["float16", 65520, "65520"],
    ["float16", -1e5, "-100000"],
    ["float32", 3.4028235677973366e38, "3.4028235677973366e+38"],
    ["int8", 1e300, "1e+300"],
    ["int8", Number.NaN, "NaN"],
    ["int8", -Infinity, "-Infinity"],
  ] as const)("%s: %s", (weights, number, shown) => {
    const before = value.data[3];
    value.data[3] = number;
    const { memory } = runtime;
    expect(() => saveModel(model, { weights })).toThrow(
      new RangeError(
        `saveModel: weights cannot be "${weights}", which does not hold ${shown}, element 3 of 0.weight`,
      ),
    );
    expect(runtime.memory).toEqual(memory);
    value.data[3] = before as number;
  });

  test("but the numbers just below, infinities and NaN are floats, and biases are not narrowed", () => {
    value.data.set([65519.99, Infinity, -Infinity, Number.NaN, 3.4e38, -0]);
    bias.data.fill(1e30);
    const { tensors } = readSafetensors(saveModel(model, { weights: "float32" }));
    expect([...numbersOf(tensors, "0.weight")]).toEqual(Array.from(value.data, Math.fround));
    value.data[4] = 1;
    const { tensors: narrow } = readSafetensors(saveModel(model, { weights: "float16" }));
    expect([...numbersOf(narrow, "0.weight")]).toEqual([
      65504,
      Infinity,
      -Infinity,
      Number.NaN,
      1,
      -0,
    ]);
    expect([...numbersOf(narrow, "0.bias")]).toEqual([1e30, 1e30]);
  });

  test.each([["float8"], ["F16"], [16], [null], ["toString"]])("no such type: %s", (weights) => {
    expect(() => saveModel(model, { weights: weights as never })).toThrow(
      /^saveModel: weights must be "float32", "float16" or "int8", got /,
    );
  });
});

describe("versions", () => {
  const model = new Sequential(runtime, { input: [3], layers: [affine(2)] });
  const as = (version: string, bytes = saveModel(model)) => {
    const { tensors, metadata } = readSafetensors(bytes);
    return writeSafetensors(tensors, new Map([...metadata, ["version", version]]));
  };

  test.each(["0", "3", "2.0", "10", ""])("%s is refused by every reader", (version) => {
    const message = `: expected version 1 or 2 of the file, got "${version}"`;
    expect(() => loadModel(runtime, as(version))).toThrow(new FormatError(`loadModel${message}`));
    expect(() => loadPredictorSync(as(version))).toThrow(
      new FormatError(`loadPredictorSync${message}`),
    );
  });

  test("1 and 2 are read of models and of checkpoints, and no other of a checkpoint", () => {
    const trainer = new Trainer(model, { loss: "mse", optimizer: sgd() });
    expect(Trainer.resume(runtime, as("2", trainer.checkpoint())).steps).toBe(0);
    expect(() => Trainer.resume(runtime, as("3", trainer.checkpoint()))).toThrow(FormatError);
    expect(loadModel(runtime, as("2")).output).toEqual([2]);
    trainer.dispose();
  });

  test("a model without products is one of version 1, whatever its weights", () => {
    const none = new Sequential(runtime, { input: [3], layers: [batchnorm()] });
    expect(saveModel(none, { weights: "int8" })).toEqual(saveModel(none));
  });
});
