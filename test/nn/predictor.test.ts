import { describe, expect, test } from "vitest";
import {
  affine,
  batchnorm,
  createRuntime,
  createRuntimeSync,
  DisposedError,
  dropout,
  flatten,
  MemoryError,
  type Runtime,
  relu,
  Sequential,
  ShapeError,
  sigmoid,
  tanh,
} from "../../src/index.ts";
import { graphOf } from "../../src/nn/graph/blueprints.ts";
import { programOf } from "../../src/nn/graph/program.ts";
import { records } from "../../src/nn/layers/all.ts";
import { CompiledPredictor } from "../../src/nn/predictor.ts";
import { examples, networks, settle } from "./networks.ts";

const runtime = await createRuntime();

describe.each(Object.entries(networks))("%s", (_name, { input, layers }) => {
  const size = input.reduce((a, b) => a * b, 1);

  test.each(["float32", "float64"] as const)("gives the model's scores in %s", (dtype) => {
    const model = new Sequential(runtime, { input, layers, dtype, seed: 3 });
    settle(model as never);
    const predictor = model.compile({ maxBatch: 35 });
    for (const N of [0, 1, 2, 3, 4, 5, 35]) {
      const x = examples(N, size, 40 + N);
      const scores = model.predict(runtime.tensor(x, [N, ...input], dtype) as never);
      const predicted = predictor.predict(x);
      expect(predicted.length).toBe(scores.size);
      const largest = Math.max(1, ...scores.toTypedArray().map(Math.abs));
      // What folding changes: the rounding of each weight once more.
      const bound = (dtype === "float32" ? 1e-5 : 1e-13) * largest;
      scores.toTypedArray().forEach((score, i) => {
        expect(Math.abs((predicted[i] as number) - score)).toBeLessThanOrEqual(bound);
      });
      scores.dispose();
    }
    predictor.dispose();
    model.dispose();
  });
});

test.each<[string, [string, number | undefined][]]>([
  [
    "affine without a bias",
    [
      ["affine", 0],
      ["affine", -Infinity],
    ],
  ],
  [
    "batch normalisation after affine, then ReLU",
    [
      ["affine", 0],
      ["affine", -Infinity],
    ],
  ],
  [
    "batch normalisation after ReLU",
    [
      ["affine", 0],
      ["batchnorm", undefined],
      ["affine", -Infinity],
    ],
  ],
  [
    "batch normalisation of the input",
    [
      ["batchnorm", undefined],
      ["batchnorm", undefined],
      ["relu", undefined],
    ],
  ],
  ["two batch normalisations in a row", [["affine", -Infinity]]],
])("%s: batch normalisation and ReLU belong to the product before them", (name, expected) => {
  const { input, layers } = networks[name]!;
  const described = { inputs: [{ name: "input", shape: input }], layers };
  const graph = graphOf("test", described, "float32", records);
  const { operations } = programOf(graph, [1], () => []);
  expect(operations.map(({ kind, values }) => [kind, values[0]])).toEqual(expected);
});

const plain = { input: [30], layers: [affine(50), relu(), affine(34), relu(), affine(10)] };

test("without anything to fold, the bits are the model's, in batches of any size", () => {
  const model = new Sequential(runtime, { ...plain, seed: 5 });
  const predictor = model.compile({ maxBatch: 9 });
  for (let N = 1; N <= 9; N++) {
    const x = Float32Array.from(examples(N, 30, N));
    expect(predictor.predict(x)).toEqual(model.predict(x).toTypedArray());
  }
});

test("the caller writes into input and reads output, and only the first examples run", () => {
  const model = new Sequential(runtime, { ...plain, seed: 6 });
  const predictor = model.compile({ maxBatch: 4 });
  const x = Float32Array.from(examples(4, 30));
  expect(predictor.input.length).toBe(120);
  expect(predictor.output.length).toBe(40);
  expect(predictor.input).toBe(predictor.input);
  predictor.input.set(x);
  predictor.output.fill(7);
  predictor.run(3);
  expect(predictor.input).toEqual(x);
  expect(predictor.output.subarray(0, 30)).toEqual(model.predict(x.subarray(0, 90)).toTypedArray());
  expect(predictor.output.subarray(30)).toEqual(new Float32Array(10).fill(7));
  predictor.run();
  expect(predictor.output).toEqual(model.predict(x).toTypedArray());
});

test("what a first layer that works in place gets is not overwritten", () => {
  const model = new Sequential(runtime, { input: [5], layers: [relu(), tanh(), sigmoid()] });
  const predictor = model.compile();
  const x = Float32Array.of(-1, 2, -3, 4, -5);
  predictor.input.set(x);
  predictor.run();
  expect(predictor.input).toEqual(x);
});

test("a network whose output is its input copies it, when it runs", () => {
  for (const dtype of ["float32", "float64"] as const) {
    const layers = [flatten(), dropout(0.5)];
    const predictor = new Sequential(runtime, { input: [2, 2], layers, dtype }).compile({
      maxBatch: 2,
    });
    predictor.output.fill(7);
    predictor.input.set([1, 2, 3, 4, -0, Number.NaN, -Infinity, 0]);
    expect([...predictor.output]).toEqual(new Array(8).fill(7));
    predictor.run(1);
    expect([...predictor.output]).toEqual([1, 2, 3, 4, 7, 7, 7, 7]);
    predictor.run();
    predictor.input.fill(5);
    expect([...predictor.output]).toEqual([1, 2, 3, 4, -0, Number.NaN, -Infinity, 0]);
    expect([...predictor.predict([])]).toEqual([]);
    predictor.dispose();
  }
});

test("a tensor from elsewhere whose shape is not that of its numbers is a ShapeError", () => {
  const predictor = new Sequential(runtime, { input: [4], layers: [affine(2)] }).compile({
    maxBatch: 2,
  });
  const tensor = (shape: unknown, size: number) => ({
    shape,
    toTypedArray: () => new Float32Array(size),
  });
  for (const [shape, size] of [
    [[2, 4], 4],
    [[1, 4], 8],
    [[2, 4], 0],
    [[0, 4], 4],
  ] as const) {
    expect(() => predictor.predict(tensor(shape, size) as never)).toThrow(
      new ShapeError(`Predictor.predict: x has shape (${shape.join(", ")}) but ${size} numbers`),
    );
  }
  expect(predictor.predict(tensor([2, 4], 8) as never)).toHaveLength(4);
  predictor.dispose();
});

test("any number of batch normalisations is folded into the product before them", () => {
  const own = createRuntimeSync();
  const layers = [affine(1), ...Array.from({ length: 20_000 }, () => batchnorm())];
  const model = new Sequential(own, { input: [1], layers });
  const [expected] = model.predict([0.5]).toTypedArray();
  // Unfolded, 20,000 results are rounded to float32 one after the other.
  expect(model.compile().predict([0.5])[0]).toBeCloseTo(expected!, 3);
});

test("where a weight cannot be read, its block is given back", () => {
  const [inputs, outputs] = [[{ name: "x", shape: [3] }], [{ name: "y", shape: [2] }]];
  const graph = graphOf("test", { inputs, layers: [affine(2)] }, "float32", records);
  const program = programOf(graph, [3], () => {
    throw new RangeError("no room for the weights");
  });
  const { buffer } = new WebAssembly.Memory({ initial: 1 });
  let blocks = 0;
  const host = {
    kernels: {
      ...{ predict: () => {}, predict_pack: () => {} },
      ...{ predict_work_bytes: () => 64, predict_pack_bytes: () => 24 },
    },
    buffer: () => buffer,
    allocate() {
      blocks++;
      return { address: 0, release: () => blocks-- };
    },
  };
  const make = () =>
    new CompiledPredictor(host, "float32", program, inputs, outputs, 1, new Map(), undefined);
  expect(make).toThrow("no room for the weights");
  expect(blocks).toBe(0);
});

test("views and results outlive growth of the memory", async () => {
  const own = await createRuntime();
  const model = new Sequential(own, { ...plain, seed: 7 });
  const predictor = model.compile({ maxBatch: 2 });
  const x = Float32Array.from(examples(2, 30));
  const before = predictor.predict(x);
  predictor.input.set(x);
  own.zeros([4 << 20]); // grows the memory, which ends every view of it
  expect(predictor.input).toEqual(x);
  predictor.run();
  expect(predictor.output).toEqual(before);
  own.dispose();
});

test("it has weights of its own: training and disposing the model change nothing", () => {
  const model = new Sequential(runtime, { ...plain, seed: 8 });
  const predictor = model.compile();
  const x = Float32Array.from(examples(1, 30));
  const before = predictor.predict(x);
  for (const { value } of model.parameters()) value.data.fill(0);
  model.dispose();
  expect(predictor.predict(x)).toEqual(before);
});

test("predictions allocate nothing, and dispose gives everything back", async () => {
  const own = await createRuntime();
  const model = new Sequential(own, { ...plain, seed: 8 });
  const before = own.memory;
  const predictor = model.compile({ maxBatch: 3 });
  const compiled = own.memory;
  const weights = 4 * (30 * 50 + 50 + 50 * 34 + 34 + 34 * 10 + 10);
  expect(compiled.bytesLive - before.bytesLive).toBeGreaterThan(weights);
  // The largest of them twice while it is packed, columns rounded up to whole tiles, and a few
  // rows.
  expect(compiled.bytesLive - before.bytesLive).toBeLessThan(3 * weights);
  for (let i = 0; i < 100; i++) predictor.predict(Float32Array.from(examples(3, 30)));
  expect(own.memory).toEqual(compiled);
  predictor.dispose();
  predictor.dispose();
  expect(own.memory.bytesLive).toBe(before.bytesLive);
  expect(own.memory.tensors).toBe(before.tensors);
  own.dispose();
});

test("a predictor made in a scope outlives it", () => {
  const model = new Sequential(runtime, { ...plain, seed: 8 });
  let predictor = model.compile();
  runtime.scope(() => {
    predictor = model.compile();
  });
  expect(predictor.predict(Float32Array.from(examples(1, 30)))).toEqual(
    model.predict(Float32Array.from(examples(1, 30))).toTypedArray(),
  );
});

describe("what is refused", () => {
  const model = new Sequential(runtime, { ...plain, seed: 1 });
  const predictor = model.compile({ maxBatch: 2 });

  test.each([0, -1, 1.5, NaN, "2", null])("maxBatch: %s", (maxBatch) => {
    const { memory } = runtime;
    expect(() => model.compile({ maxBatch: maxBatch as number })).toThrow(
      /Sequential\.compile: maxBatch must be a whole number from 1 up, got/,
    );
    expect(runtime.memory).toEqual(memory);
  });

  test.each([3, -1, 0.5, NaN])("a batch of %s", (batch) => {
    expect(() => predictor.run(batch)).toThrow(
      /Predictor\.run: batch must be a whole number from 0 to maxBatch \(2\), got/,
    );
    expect(() => predictor.run(batch)).toThrow(RangeError);
  });

  test.each([29, 31, 90])("%d numbers", (length) => {
    expect(() => predictor.predict(new Float32Array(length))).toThrow(ShapeError);
    expect(() => predictor.predict(new Float32Array(length))).toThrow(
      `Predictor.predict: x must hold up to 2 examples of shape (30,), so a multiple of 30 numbers, got ${length} numbers`,
    );
  });

  test.each([
    ["1", "string"],
    [null, "null"],
    [{}, "Object"],
    [undefined, "undefined"],
    [true, "boolean"],
  ])("%j among numbers, and computes nothing", (value, type) => {
    const before = Array.from(predictor.output);
    const x: unknown[] = Array(30).fill(1);
    x[29] = value;
    expect(() => predictor.predict(x as number[])).toThrow(TypeError);
    expect(() => predictor.predict(x as number[])).toThrow(
      `Predictor.predict: x[29] must be a number, got ${type}`,
    );
    expect(Array.from(predictor.output)).toEqual(before);
  });

  test("a nested array among numbers", () => {
    const x: unknown[] = Array(30).fill(1);
    x[29] = [1];
    expect(() => predictor.predict(x as number[])).toThrow(ShapeError);
    expect(() => predictor.predict(x as number[])).toThrow(
      "x[29] should be a number, got an array",
    );
  });

  test("what is no list of numbers", () => {
    for (const [x, given] of [
      [undefined, "undefined"],
      [null, "null"],
      [5, "number"],
      [{ length: 30 }, "Object"],
      [Promise.resolve([1]), "a Promise: await it"],
    ]) {
      const call = () => predictor.predict(x as never);
      expect(call).toThrow(TypeError);
      expect(call).toThrow(
        `Predictor.predict: x must be a typed array of numbers or an array, got ${given}`,
      );
    }
  });

  test("a disposed model, predictor or runtime", () => {
    const gone = new Sequential(runtime, plain);
    gone.dispose();
    expect(() => gone.compile()).toThrow(DisposedError);
    const closed = model.compile();
    closed.dispose();
    for (const use of [
      () => closed.run(),
      () => closed.predict(new Float32Array(30)),
      () => closed.input,
      () => closed.output,
    ]) {
      expect(use).toThrow(DisposedError);
    }
    const own = createRuntimeSync();
    const orphan = new Sequential(own, plain).compile();
    own.dispose();
    expect(() => orphan.run()).toThrow(DisposedError);
    expect(() => orphan.input).toThrow(DisposedError);
    orphan.dispose();
  });

  test("more than the memory holds, and everything stays as it was", () => {
    const own: Runtime = createRuntimeSync({ maxMemory: 2 << 20 });
    const small = new Sequential(own, { ...plain, seed: 2 });
    const { bytesLive } = own.memory;
    expect(() => small.compile({ maxBatch: 100_000 })).toThrow(MemoryError);
    expect(own.memory.bytesLive).toBe(bytesLive);
    small.compile().dispose();
    own.dispose();
  });
});
