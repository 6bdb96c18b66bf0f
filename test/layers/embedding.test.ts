import { describe, expect, test } from "vitest";
import shared from "../../build/shared.js";
import {
  AliasError,
  createRuntime,
  createRuntimeSync,
  DTypeError,
  embeddingBackward,
  embeddingForward,
  type FloatDType,
  numericalGradient,
  RuntimeMismatchError,
  ShapeError,
  type Tensor,
} from "../../src/index.ts";
import { dtypes, seeded } from "../support/core.ts";
import { fromGolden, golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { configurations, goldenError, offsets, sizes, values } from "./common.ts";

describe.each(configurations)("the kernels in $dtype, $build core", ({ core, type }) => {
  const { array, suffix } = type;
  const exports = core.exports as unknown as Record<string, (...given: number[]) => void>;

  test("are the plain twin for every number of indices and columns, and write no other byte", () => {
    const random = seeded(83);
    for (const n of [0, 1, 2, 7, 16]) {
      for (const D of sizes) {
        for (const offset of offsets) {
          core.reset();
          const V = 5;
          const indices = Int32Array.from({ length: n }, () => Math.floor(V * random()));
          // Small whole numbers, whose sums are exact in either dtype and any order.
          const whole = (length: number) =>
            array.from(Array.from({ length }, () => Math.floor(32 * random()) - 16));
          const [w, dout] = [whole(V * D), whole(n * D)];
          const place = { offset };
          const x = core.input(indices, { offset: 4 }).address;
          const out = core.output(array, n * D, place);
          const dw = core.output(array, V * D, place);
          const wAt = core.input(w, place).address;
          const doutAt = core.input(dout, place).address;
          exports[`embedding_forward_${suffix}`]!(out.address, x, wAt, n, D);
          exports[`embedding_backward_${suffix}`]!(dw.address, doutAt, x, n, V, D);
          core.checkGuards();
          expect(Array.from(out.values())).toEqual(reference.embeddingForward(indices, w, D));
          expect(Array.from(dw.values())).toEqual(
            reference.embeddingBackward(dout, indices, [V, D]),
          );
        }
      }
    }
  });
});

describe.each(dtypes)("the calls in $dtype", ({ dtype, array }) => {
  const runtime = createRuntimeSync();
  const tensor = (data: number[], shape: number[]) =>
    runtime.tensor(data, shape, dtype) as Tensor<FloatDType>;
  const indexed = (data: number[], shape: number[]) => runtime.tensor(data, shape, "int32");

  test("indices of any shape become rows, behind their own axes", () => {
    const w = tensor([0, 1, 10, 11, 20, 21], [3, 2]);
    const { out } = embeddingForward(indexed([2, 0, 1, 2], [2, 2]), w);
    expect(out.shape).toEqual([2, 2, 2]);
    expect(values(out)).toEqual([20, 21, 0, 1, 10, 11, 20, 21]);
    expect(embeddingForward(indexed([], [0, 3]), w).out.shape).toEqual([0, 3, 2]);
  });

  test("the gradient adds the rows of an index up in their order, to the bit", () => {
    const random = seeded(5);
    const n = 300;
    const dout = reference.normals(n, random);
    const indices = indexed(new Array(n).fill(1), [n]);
    const { cache } = embeddingForward(indices, tensor([0, 0, 0], [3, 1]));
    const dw = embeddingBackward(tensor(dout, [n, 1]), cache);
    const sum = array.of(0);
    for (const d of array.from(dout)) sum[0]! += d;
    expect(values(dw)).toEqual([0, sum[0], 0]);
  });

  test("what is written into has the same numbers, whatever it held", () => {
    const indices = indexed([1, 1], [2]);
    const w = tensor([1, 2, 3, 4], [2, 2]);
    const out = tensor([9, 9, 9, 9], [2, 2]);
    const { cache } = embeddingForward(indices, w, { out });
    expect(values(out)).toEqual([3, 4, 3, 4]);
    const dw = tensor([7, 7, 7, 7], [2, 2]);
    expect(embeddingBackward(out, cache, { dw })).toBe(dw);
    expect(values(dw)).toEqual([0, 0, 6, 8]);
  });

  test("an index outside the table is refused by its place and value, and nothing stays", () => {
    const w = tensor([0, 1, 10, 11, 20, 21], [3, 2]);
    for (const [wrong, i] of [
      [3, 4],
      [-1, 0],
      [2 ** 31 - 1, 5],
    ] as const) {
      const data = [0, 1, 2, 0, 1, 2];
      data[i] = wrong;
      const indices = indexed(data, [2, 3]);
      const { bytesLive, tensors } = runtime.memory;
      expect(() => embeddingForward(indices, w)).toThrow(RangeError);
      expect(() => embeddingForward(indices, w)).toThrow(
        `embeddingForward: indices[${Math.floor(i / 3)}, ${i % 3}] is ${wrong}, expected a whole number in [0, 3)`,
      );
      expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    }
  });

  test("an index that is changed after the forward is refused by the backward", () => {
    const indices = indexed([0, 1], [2]);
    const { out, cache } = embeddingForward(indices, tensor([1, 2], [2, 1]));
    indices.data[1] = 1_000_000;
    expect(() => embeddingBackward(out, cache)).toThrow(
      "embeddingBackward: indices[1] is 1000000, expected a whole number in [0, 2)",
    );
  });

  test("other dtypes, ranks, runtimes, and data that is shared, are refused", () => {
    const w = tensor([1, 2, 3, 4], [2, 2]);
    const indices = indexed([0, 1], [2]);
    expect(() => embeddingForward(w as never, w)).toThrow(DTypeError);
    expect(() => embeddingForward(indices, indices as never)).toThrow(DTypeError);
    expect(() => embeddingForward([0, 1] as never, w)).toThrow(TypeError);
    expect(() => embeddingForward(indices, tensor([1, 2], [2]))).toThrow(
      "embeddingForward: w must have shape (V, D), got (2,)",
    );
    expect(() => embeddingForward(indices, w, { out: w })).toThrow(AliasError);
    expect(() => embeddingForward(indices, w, { out: tensor([1, 2], [2, 1]) })).toThrow(ShapeError);
    expect(() => embeddingForward(indices, w, { dw: w } as never)).toThrow(TypeError);
    const other = createRuntimeSync();
    const foreign = other.tensor([0, 1], [2], "int32");
    expect(() => embeddingForward(foreign, w)).toThrow(RuntimeMismatchError);
    other.dispose();
    const { out, cache } = embeddingForward(indices, w);
    expect(() => embeddingBackward(out, cache, { dw: out })).toThrow(AliasError);
    expect(() => embeddingBackward(out, cache, { dw: w })).toThrow(AliasError);
    expect(() => embeddingBackward(tensor([1, 2], [2, 1]), cache)).toThrow(ShapeError);
  });
});

test("float64 agrees with central differences, in the table", () => {
  const runtime = createRuntimeSync();
  const random = seeded(11);
  for (const [n, V, D] of [
    [1, 1, 1],
    [6, 4, 3],
    [9, 2, 5],
  ] as const) {
    const indices = runtime.tensor(
      Array.from({ length: n }, () => Math.floor(V * random())),
      [n],
      "int32",
    );
    const w = runtime.tensor(reference.normals(V * D, random), [V, D], "float64");
    const dout = runtime.tensor(reference.normals(n * D, random), [n, D], "float64");
    const dw = embeddingBackward(dout, embeddingForward(indices, w).cache);
    const numeric = numericalGradient((w) => embeddingForward(indices, w).out, w, dout);
    expect(reference.deviation(dw.data, numeric.data)).toBeLessThan(1e-9);
  }
});

test("any number of threads gives the bits of one, forward and backward", async () => {
  const [n, V, D] = [700, 7, 515];
  for (const { dtype } of dtypes) {
    const results: number[][] = [];
    for (const threads of [1, 2, 3, 16]) {
      const runtime =
        threads === 1 ? createRuntimeSync() : await createRuntime({ wasm: shared, threads });
      const draw = (length: number, seed: number) => reference.normals(length, seeded(seed));
      const numbers = Array.from({ length: n }, (_, i) => (i * i) % V);
      const indices = runtime.tensor(numbers, [n], "int32");
      const w = runtime.tensor(draw(V * D, 1), [V, D], dtype) as Tensor<FloatDType>;
      const dout = runtime.tensor(draw(n * D, 2), [n, D], dtype) as Tensor<FloatDType>;
      const { out, cache } = embeddingForward(indices, w);
      results.push([out, embeddingBackward(dout, cache)].flatMap(values));
      runtime.dispose();
    }
    for (const result of results) expect(result).toEqual(results[0]);
  }
}, 60_000);

test("gives what PyTorch gives", () => {
  const runtime = createRuntimeSync();
  const { indices, weight, dout, out, dweight } = golden("sequences").embedding;
  const x = runtime.tensor(indices.data, indices.shape, "int32");
  const result = embeddingForward(x, fromGolden(runtime, weight));
  expect(goldenError(result.out, out)).toBe(0);
  const dw = embeddingBackward(fromGolden(runtime, dout), result.cache);
  expect(goldenError(dw, dweight)).toBeLessThan(1e-12);
});
