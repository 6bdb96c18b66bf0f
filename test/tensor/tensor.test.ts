import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  affineForward,
  createRuntimeSync,
  DisposedError,
  dropoutBackward,
  dropoutForward,
  reluForward,
  ShapeError,
  type Tensor,
} from "../../src/index.ts";

const runtime = createRuntimeSync();
const dtypes = ["float32", "float64", "int32"] as const;

describe("data", () => {
  test("is a live view: what is written into it, the tensor and every call see", () => {
    for (const dtype of dtypes) {
      const x = runtime.zeros([3], dtype);
      x.data[1] = 5;
      x.data.set([7], 2);
      expect(Array.from(x.toTypedArray())).toEqual([0, 5, 7]);
    }
    const x = runtime.zeros([2]);
    x.data.set([-1, 4]);
    expect(reluForward(x).out.data).toEqual(Float32Array.of(0, 4));
  });

  test("has the dtype's own kind of array, as long as the tensor", () => {
    const kinds = { float32: Float32Array, float64: Float64Array, int32: Int32Array };
    for (const dtype of dtypes) {
      for (const shape of [[], [0], [2, 3], [4, 0]]) {
        const x = runtime.zeros(shape, dtype);
        expect(x.data).toBeInstanceOf(kinds[dtype]);
        expect(x.data.length).toBe(x.size);
      }
    }
  });

  test("is the same object until the memory grows", () => {
    const own = createRuntimeSync({ initialMemory: 65536 });
    const x = own.ones([4]);
    const view = x.data;
    own.ones([100]);
    expect(x.data).toBe(view);
    own.ones([20_000]);
    expect(view.length).toBe(0);
    expect(x.data.length).toBe(4);
    expect(x.data).toBe(x.data);
  });

  test("stops at the tensor's end: the next tensor lies outside", () => {
    const [a, b] = [runtime.zeros([16]), runtime.ones([16])];
    a.data.fill(9);
    a.data[16] = 9; // beyond a typed array: nothing
    expect(b.data.every((value) => value === 1)).toBe(true);
  });
});

describe("toTypedArray", () => {
  test("is a copy, which neither later writes nor growth nor disposal changes", () => {
    const own = createRuntimeSync({ initialMemory: 65536 });
    const x = own.tensor([1, 2, 3]);
    const copy = x.toTypedArray();
    expect(copy).toBeInstanceOf(Float32Array);
    expect(copy.buffer.byteLength).toBe(12);
    x.data[0] = 10;
    copy[1] = 20;
    expect(x.data).toEqual(Float32Array.of(10, 2, 3));
    own.ones([20_000]);
    x.dispose();
    expect(copy).toEqual(Float32Array.of(1, 20, 3));
  });
});

describe("item", () => {
  test("is the only element, whatever the rank", () => {
    for (const shape of [[], [1], [1, 1, 1]]) expect(runtime.full(shape, 2.5).item()).toBe(2.5);
    expect(runtime.full([], NaN).item()).toBeNaN();
    expect(runtime.full([1], -3, "int32").item()).toBe(-3);
  });

  test.each([
    [[2], "(2,)"],
    [[0], "(0,)"],
    [[2, 1], "(2, 1)"],
  ])("of a tensor of shape %j is a ShapeError that names it", (shape, given) => {
    expect(() => runtime.zeros(shape).item()).toThrow(ShapeError);
    expect(() => runtime.zeros(shape).item()).toThrow(
      `item: expected a tensor of size 1, got shape ${given}`,
    );
  });
});

describe("reshape", () => {
  const counting = (shape: readonly number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return runtime.tensor(
      Array.from({ length: size }, (_, i) => i),
      shape,
    );
  };

  test("keeps the elements in row-major order, in every shape of their number", () => {
    const x = counting([2, 3, 4]);
    for (const shape of [[24], [4, 6], [1, 24, 1], [3, 2, 2, 2]]) {
      const y = x.reshape(shape);
      expect([y.shape, y.size, y.dtype]).toEqual([shape, 24, "float32"]);
      expect(y.data).toEqual(x.data);
    }
    expect(x.shape).toEqual([2, 3, 4]);
    expect(runtime.full([1, 1], 3).reshape([]).item()).toBe(3);
    expect(runtime.full([], 3).reshape([1]).data).toEqual(Float32Array.of(3));
  });

  test.each([
    [[2, 3, 4], [-1], [24]],
    [
      [2, 3, 4],
      [4, -1],
      [4, 6],
    ],
    [
      [2, 3, 4],
      [-1, 4],
      [6, 4],
    ],
    [
      [2, 3, 4],
      [2, -1, 2],
      [2, 6, 2],
    ],
    [
      [2, 3, 4],
      [24, -1],
      [24, 1],
    ],
    [[], [-1], [1]],
    [[], [1, -1, 1], [1, 1, 1]],
    [[0], [-1], [0]],
    [[0], [3, -1], [3, 0]],
    [
      [3, 0],
      [-1, 3],
      [0, 3],
    ],
  ])("of %j as %j is %j: −1 is what the others leave", (from, to, shape) => {
    const x = counting(from);
    const wanted = Object.freeze(to);
    expect(x.reshape(wanted).shape).toEqual(shape);
  });

  test.each([
    [[4], [5], "(4,) has 4 elements, which do not fit (5,)"],
    [[4], [2, 3], "(4,) has 4 elements, which do not fit (2, 3)"],
    [[4], [], "(4,) has 4 elements, which do not fit ()"],
    [[4], [3, -1], "(4,) has 4 elements, which do not fit (3, -1)"],
    [[4], [8, -1], "(4,) has 4 elements, which do not fit (8, -1)"],
    [[4], [0, -1], "(4,) has 4 elements, which do not fit (0, -1)"],
    [[0], [1], "(0,) has 0 elements, which do not fit (1,)"],
    // Any length would do, so there is none that is meant.
    [[0], [0, -1], "(0,) has 0 elements, which do not fit (0, -1)"],
    [[3, 0], [-1, 0], "(3, 0) has 0 elements, which do not fit (-1, 0)"],
    [[], [2], "() has 1 elements, which do not fit (2,)"],
  ])("of %j as %j is a ShapeError with both", (from, to, message) => {
    const x = counting(from);
    const before = runtime.memory;
    expect(() => x.reshape(to)).toThrow(ShapeError);
    expect(() => x.reshape(to)).toThrow(`reshape: ${message}`);
    expect(runtime.memory).toEqual(before);
  });

  test.each([
    [[-1, -1]],
    [[-2, -2]],
    [[2.5, -1]],
    [[-2, -1]],
    [[NaN]],
    [["4"]],
    [4],
    [null],
    ["4"],
  ])("as %j is a ShapeError, and nothing is made", (shape) => {
    const x = counting([4]);
    const before = runtime.memory;
    expect(() => x.reshape(shape as number[])).toThrow(ShapeError);
    expect(() => x.reshape(shape as number[])).toThrow(/^reshape: /);
    expect(runtime.memory).toEqual(before);
  });

  test("with two lengths of −1 shows the shape as it was given", () => {
    expect(() => counting([4]).reshape([-1, -1])).toThrow("(-1, -1)");
  });

  test("is another handle on the same data, whichever is written through", () => {
    const x = counting([2, 3]);
    const y = x.reshape([3, 2]);
    expect(y).not.toBe(x);
    x.data[0] = 10;
    y.data[5] = 50;
    expect(Array.from(x.data)).toEqual([10, 1, 2, 3, 4, 50]);
    expect(y.data).toEqual(x.data);
  });
});

describe("handles on the same data", () => {
  test("are counted: the memory is free when the last one is disposed, in any order", () => {
    const own = createRuntimeSync();
    const handles: Tensor[] = [];
    const contents: number[] = [];
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(2)), { maxLength: 60 }), (steps) => {
        for (const [pick, action] of steps) {
          const i = pick % Math.max(1, handles.length);
          const handle = handles[i];
          if (!handle || action === 0) {
            contents.push(contents.length);
            handles.push(own.full([2, 20], contents.length - 1, "float64"));
          } else if (action === 1) {
            handles.push(handle.reshape([40]));
          } else {
            handle.dispose();
            handles.splice(i, 1);
          }
          const kept = new Set(handles.map(({ data }) => data[0]));
          for (const { data } of handles) expect(data[39]).toBe(data[0]);
          expect(own.memory.tensors).toBe(handles.length);
          expect(own.memory.bytesLive).toBe(kept.size * 320);
        }
        while (handles.length > 0) handles.pop()?.dispose();
        expect(own.memory).toMatchObject({ bytesLive: 0, tensors: 0 });
      }),
      { seed: 7 },
    );
  });

  test("by reshape and dropout in test mode outlive the handle that they came from", () => {
    const before = runtime.memory;
    const x = runtime.tensor([1, 2, 3, 4]);
    const y = x.reshape([2, 2]);
    const z = dropoutForward(y, { p: 0.5, mode: "test" });
    const d = dropoutBackward(y, z.cache);
    x.dispose();
    y.dispose();
    const another = runtime.full([4], 9); // would take the place of what was freed
    for (const tensor of [z.out, d]) expect(tensor.data).toEqual(Float32Array.of(1, 2, 3, 4));
    for (const each of [z.out, d, z.cache, another]) each.dispose();
    expect(runtime.memory).toMatchObject({
      bytesLive: before.bytesLive,
      tensors: before.tensors,
    });
  });

  test("in a cache outlive the operands", () => {
    const [x, w, b] = [runtime.ones([1, 2]), runtime.full([2, 1], 3), runtime.ones([1])];
    const { cache } = affineForward(x, w, b);
    for (const tensor of [x, w, b]) tensor.dispose();
    for (let i = 0; i < 3; i++) runtime.full([2], 9);
    expect(cache.x.data).toEqual(Float32Array.of(1, 1));
    expect(cache.w.data).toEqual(Float32Array.of(3, 3));
    expect([cache.x.shape, cache.w.shape, cache.b.shape]).toEqual([[1, 2], [2, 1], [1]]);
    cache.dispose();
    expect(() => cache.x.data).toThrow(DisposedError);
  });
});

test.each([
  ["shape", [100, 100]],
  ["size", 1e8],
  ["dtype", "float64"],
])("%s is not assigned to: a kernel goes by it", (property, value) => {
  const x = runtime.ones([2, 3]);
  expect(() => Object.assign(x, { [property]: value })).toThrow(TypeError);
  expect([x.shape, x.size, x.dtype]).toEqual([[2, 3], 6, "float32"]);
});

describe("dispose", () => {
  test("gives the memory back once, however often it is called", () => {
    const own = createRuntimeSync();
    const x = own.ones([100]);
    const y = own.ones([100]);
    for (let i = 0; i < 3; i++) {
      x.dispose();
      expect(own.memory).toMatchObject({ bytesLive: 448, tensors: 1 });
    }
    const z = own.full([100], 2); // takes x's place
    x.dispose();
    expect(own.memory).toMatchObject({ bytesLive: 896, tensors: 2 });
    expect([y.data[99], z.data[99]]).toEqual([1, 2]);
  });

  test("leaves the handle's shape, size and dtype, and makes everything else a DisposedError", () => {
    const x = runtime.ones([2, 3], "float64");
    const alias = x.reshape([6]);
    x.dispose();
    expect([x.shape, x.size, x.dtype]).toEqual([[2, 3], 6, "float64"]);
    for (const [name, use] of [
      ["data", () => x.data],
      ["toTypedArray", () => x.toTypedArray()],
      ["item", () => x.item()],
      ["reshape", () => x.reshape([6])],
    ] as const) {
      expect(use).toThrow(DisposedError);
      expect(use).toThrow(`${name}: the tensor has been disposed`);
    }
    expect(() => reluForward(x)).toThrow(DisposedError);
    expect(() => reluForward(x)).toThrow("reluForward: x has been disposed");
    expect(alias.data.length).toBe(6);
  });

  test("happens at the end of a block that has the tensor or the cache by `using`", () => {
    const own = createRuntimeSync();
    const x = own.ones([4]);
    {
      using y = own.full([4], 2);
      using relu = reluForward(y).cache;
      expect(relu.x.data[0]).toBe(2);
      expect(own.memory.tensors).toBe(4);
    }
    expect(own.memory.tensors).toBe(2); // x and the output
    expect(() => {
      using z = own.ones([4]);
      throw new Error(`with ${z.size}`);
    }).toThrow("with 4");
    expect(own.memory.tensors).toBe(2);
    x[Symbol.dispose]();
    expect(own.memory.tensors).toBe(1);
  });
});

describe("console.log", () => {
  test("shows shape, dtype and values, and nothing of how it is built", () => {
    expect(inspect(runtime.tensor([[1, 2.5]]))).toBe(
      "Tensor (1, 2) float32 Float32Array(2) [ 1, 2.5 ]",
    );
    expect(inspect(runtime.zeros([0], "int32"))).toBe("Tensor (0,) int32 Int32Array(0) []");
    expect(inspect({ x: runtime.full([], 3) })).toBe(
      "{ x: Tensor () float32 Float32Array(1) [ 3 ] }",
    );
  });

  test("says where a tensor or its runtime has been disposed", () => {
    const own = createRuntimeSync();
    const [x, y] = [own.ones([2]), own.ones([2])];
    x.dispose();
    expect(inspect(x)).toBe("Tensor (2,) float32 (disposed)");
    own.dispose();
    expect(inspect(y)).toBe("Tensor (2,) float32 (disposed)");
  });
});
